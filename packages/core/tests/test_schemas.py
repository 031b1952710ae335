"""`Schema`: what compiles, what is refused and in which words, and that nothing is ever fetched."""

import json
from contextlib import suppress
from typing import Any

import pytest

from stevedore_core.errors import BodyNotJson, PayloadInvalid, SchemaInvalid, Violation
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import MAX_CONTAINERS, Json

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
UNUSABLE = "`m: schema` is not a usable JSON Schema: "
CANARY = "canary-5c1"


def violations(schema: Json, payload: Json) -> list[tuple[str, str]]:
    """Return pointer and message of each violation; none if the payload fits."""
    try:
        Schema.compile(schema, where="m: schema").check(payload)
    except PayloadInvalid as error:
        return [(violation.pointer, violation.message) for violation in error.violations]
    return []


def refusal(schema: Json) -> str:
    """Return why the schema does not compile."""
    with pytest.raises(SchemaInvalid) as caught:
        Schema.compile(schema, where="m: schema")
    return str(caught.value)


def test_a_schema_keeps_its_document() -> None:
    """The document is what its author wrote."""
    document: Json = {"type": "array"}
    assert Schema.compile(document, where="m: schema").document is document


@pytest.mark.parametrize("payload", [None, True, 1, 1.5, "text", [1], {"a": 1}])
@pytest.mark.fault("E5")
def test_the_boolean_schemas_admit_all_or_nothing(payload: Json) -> None:
    """`true` admits every payload, `false` none."""
    everything, nothing = True, False
    assert violations(everything, payload) == []
    assert violations(nothing, payload) == [("", "False schema does not allow the value")]


@pytest.mark.fault("E5")
@pytest.mark.parametrize("draft", [None, DRAFT_7, DRAFT_2019, DRAFT_2020])
def test_each_draft_is_understood(draft: str | None) -> None:
    """`prefixItems` means something from 2020-12 on, which is also the default."""
    named: dict[str, Json] = {} if draft is None else {"$schema": draft}
    found = violations({**named, "prefixItems": [{"type": "integer"}]}, ["x"])
    known = draft in {None, DRAFT_2020}
    assert found == ([("/0", 'the value is not of type "integer"')] if known else [])


@pytest.mark.parametrize(
    ("document", "found"),
    [(5, "int"), (None, "NoneType"), ([], "list"), ("true", "str"), ('{"type": "array"}', "str")],
)
def test_what_is_no_schema_is_refused(document: Json, found: str) -> None:
    """A schema is an object or a boolean, never text that holds one."""
    assert refusal(document) == (
        f"`m: schema` must be a JSON Schema: expected an object or a boolean, found `{found}`"
    )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"minimum": "a"}, 'at `/minimum`: the value is not of type "number"'),
        ({"required": ["a", 1]}, 'at `/required/1`: the value is not of type "string"'),
        (
            {"properties": {"a/b": {"minLength": -1}}},
            "at `/properties/a~1b/minLength`: the value is less than the minimum of 0",
        ),
        ({"$ref": "#/nowhere"}, "Pointer '/nowhere' does not exist"),
        ({"$ref": "#anchor"}, "Anchor 'anchor' does not exist"),
    ],
)
def test_a_schema_that_does_not_compile_says_where(document: Json, reason: str) -> None:
    """The message names the schema, the place in it, and what is wrong."""
    assert refusal(document) == UNUSABLE + reason


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1"])
def test_a_pattern_that_takes_more_than_linear_time_is_refused(pattern: str) -> None:
    """The engine has no look-around and no back-references, and the refusal says so."""
    assert refusal({"properties": {"a": {"pattern": pattern}}}) == (
        f"{UNUSABLE}at `/properties/a/pattern`: not a pattern of linear time (no look-around, "
        "no back-references)"
    )


def test_a_schema_that_branches_too_often_is_refused() -> None:
    """4,096 subschemas may look at one value, and not one more."""
    most: list[Json] = [{"type": "integer"}] * 4_096
    assert violations({"anyOf": most}, 1) == []
    assert refusal({"anyOf": [*most, True]}) == (
        f"{UNUSABLE}4097 of its subschemas may look at one value, at most 4096 are checked in "
        "time; branch less often in `allOf`, `anyOf` and `oneOf`"
    )


def test_what_is_no_json_in_a_schema_is_refused() -> None:
    """A Predictor's author may hand over Python values that JSON does not have."""
    document: Json = {"enum": {1, 2}}  # type: ignore[dict-item]  # the mistake in question
    assert refusal(document) == UNUSABLE + "Unsupported type: 'set'"


def test_the_refusal_of_a_reference_says_what_was_reached_for() -> None:
    """The message repeats the address that lies outside."""
    assert refusal({"$ref": "http://example.test/a.json"}) == (
        f"{UNUSABLE}Resource 'http://example.test/a.json' is not present in a registry and "
        "retrieving it failed: ValueError: `http://example.test/a.json` lies outside this schema, "
        "and nothing is ever fetched"
    )


def test_a_schema_may_refer_to_itself() -> None:
    """References within the document resolve, recursive ones included."""
    tree: Json = {
        "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        "$ref": "#/$defs/node",
    }
    assert violations(tree, [[], [[]]]) == []
    assert violations(tree, [[], [1]]) == [("/1/0", 'the value is not of type "array"')]


def test_at_most_ten_violations_are_listed_in_order() -> None:
    """The first ones are listed, and no more than a caller reads."""
    schema: Json = {"items": {"type": "integer"}}
    expected = [(f"/{n}", 'the value is not of type "integer"') for n in range(50)]
    assert violations(schema, ["x"] * 3) == expected[:3]
    assert violations(schema, ["x"] * 10_000) == expected[:10]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        (["x"] * 10_001, "/0"),
        ({"a": ["x"] * 10_001}, "/a/0"),
        ([["x"] * 101] * 100, "/0/0"),
        ([1] * 500_000 + ["x"] * 500_000, "/500000"),
        ([*[1] * 9_999, ["x", "x"]], "/9999/0"),
    ],
    ids=["array", "in an object", "rows", "late", "in the last"],
)
def test_only_the_first_violation_of_a_large_payload_is_looked_for(
    payload: Json, pointer: str
) -> None:
    """Listing costs as much as there is wrong: beyond 10,000 values only one is named."""
    integers: Json = {
        "type": ["integer", "array", "object"],
        "items": {"$ref": "#"},
        "additionalProperties": {"$ref": "#"},
    }
    found = violations(integers, payload)
    assert found == [(pointer, 'the value is not of types "integer", "array", "object"')]


def test_of_a_schema_that_branches_fewer_violations_are_listed() -> None:
    """Each subschema that looks at a value may cost a message: 100 looks leave 100 values."""
    schema: Json = {"items": {"anyOf": [{"type": "integer"}] * 100}}
    assert len(violations(schema, ["x"] * 100)) == 10
    assert len(violations(schema, ["x"] * 101)) == 1


@pytest.mark.parametrize("kind", ["number", "string"])
def test_bodies_are_read_and_checked(kind: str) -> None:
    """With a decoder of its own or without, a schema gives the payload, or says what is wrong."""
    schema = Schema.compile({"type": "array", "items": {"type": kind}}, where="m: schema")
    good, bad = (b"[2.5]", b'["x"]')[:: 1 if kind == "number" else -1]
    assert schema.read(good) == json.loads(good)
    with pytest.raises(PayloadInvalid) as caught:
        schema.read(bad)
    assert caught.value.violations == (Violation("/0", f'the value is not of type "{kind}"'),)
    with pytest.raises(BodyNotJson):
        schema.read(b"[1,]")


def test_pointers_escape_what_json_pointer_reserves() -> None:
    """In a pointer `~` is written `~0` and `/` is written `~1`; indexes count from 0."""
    schema: Json = {"additionalProperties": {"items": {"type": "integer"}}}
    payload: Json = {"a/b": [1, "x"], "~1": ["x"], "0": ["x"]}
    pointers = [pointer for pointer, _ in violations(schema, payload)]
    assert sorted(pointers) == ["/0/0", "/a~1b/1", "/~01/0"]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "integer"}, 'the value is not of type "integer"'),
        ({"enum": [1, 2]}, "the value is not one of 1 or 2"),
        ({"const": 1}, "1 was expected"),
        ({"pattern": "^x$"}, 'the value does not match "^x$"'),
        ({"maxLength": 2}, "the value is longer than 2 characters"),
        ({"minLength": 200}, "the value is shorter than 200 characters"),
        ({"not": {}}, "{} is not allowed for the value"),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "the value is not valid under any of the schemas listed in the 'anyOf' keyword",
        ),
        (
            {"oneOf": [{}, {}]},
            "the value is valid under more than one of the schemas listed in the 'oneOf' keyword",
        ),
        ({"$schema": DRAFT_7, "format": "ipv4"}, 'the value is not a "ipv4"'),
    ],
)
def test_messages_about_a_text_do_not_repeat_it(schema: Json, message: str) -> None:
    """What the schema says is told; what the caller sent is not."""
    assert violations(schema, CANARY) == [("", message)]


NOT_ADMITTED = "it has a property that the schema does not admit"
NAME_DOES_NOT_FIT = "the name of one of its properties does not fit the schema"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"properties": {"a": {}}, "additionalProperties": False}, NOT_ADMITTED),
        ({"unevaluatedProperties": False}, NOT_ADMITTED),
        ({"$schema": DRAFT_2019, "unevaluatedProperties": False}, NOT_ADMITTED),
        ({"additionalProperties": False}, "False schema does not allow the value"),
        ({"propertyNames": {"maxLength": 2}}, NAME_DOES_NOT_FIT),
        ({"propertyNames": {"pattern": "^a$"}}, NAME_DOES_NOT_FIT),
        ({"propertyNames": {"enum": ["a"]}}, NAME_DOES_NOT_FIT),
        ({"propertyNames": {"$ref": "#/$defs/n"}, "$defs": {"n": {"maxLength": 2}}},
         NAME_DOES_NOT_FIT),
        ({"required": ["a"]}, '"a" is a required property'),
        ({"maxProperties": 0}, "the value has more than 0 properties"),
        ({"$schema": DRAFT_7, "dependencies": {CANARY: ["b"]}}, '"b" is a required property'),
        ({"type": "array"}, 'the value is not of type "array"'),
    ],
)  # fmt: skip
def test_messages_about_an_object_do_not_repeat_its_keys(schema: Json, message: str) -> None:
    """The caller's keys stand in pointers at most, never in a sentence."""
    assert violations(schema, {CANARY: CANARY}) == [("", message)]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"uniqueItems": True}, "the value has non-unique elements"),
        ({"contains": {"type": "integer"}}, "None of the value are valid under the given schema"),
        ({"minItems": 3}, "the value has less than 3 items"),
        ({"maxItems": 1}, "the value has more than 1 item"),
        ({"unevaluatedItems": False}, "Unevaluated items are not allowed (2 items)"),
        (
            {"$schema": DRAFT_7, "items": [{}], "additionalItems": False},
            "Additional items are not allowed (1 item)",
        ),
    ],
)
def test_messages_about_an_array_do_not_repeat_its_items(schema: Json, message: str) -> None:
    """An array is spoken of without its items."""
    assert violations(schema, [CANARY, CANARY]) == [("", message)]


def test_messages_are_short() -> None:
    """A long schema makes no long message."""
    found = violations({"const": "x" * 10_000}, 1)
    assert found == [("", '"' + "x" * 199)]


def test_the_error_holds_the_violations() -> None:
    """PayloadInvalid carries what was found as data."""
    with pytest.raises(PayloadInvalid) as caught:
        Schema.compile({"type": "array"}, where="m: schema").check(1)
    assert caught.value.violations == (Violation("", 'the value is not of type "array"'),)


def test_too_many_arrays_are_refused_though_they_fit() -> None:
    """What reads and checks numbers at once is not asked for what no reader takes."""
    schema: Json = {"type": "number"}
    for _ in range(3):
        schema = {"type": "array", "items": schema}
    body = b"[" + b"[[]]," * (MAX_CONTAINERS // 2) + b"[]]"
    with pytest.raises(BodyNotJson, match="more than 500000 arrays and objects"):
        Schema.compile(schema, where="s").read(body)


def test_what_is_nested_too_deep_is_refused_though_it_fits() -> None:
    """A schema that admits any depth lets none through that no reader takes."""
    with pytest.raises(BodyNotJson, match="nested more than 64 levels deep"):
        Schema.compile({"type": "array"}, where="s").read(b"[" * 65 + b"]" * 65)


class Watched(bytes):
    """A body that notes what is looked for in it."""

    looked_for: list[object]

    def count(self, part: Any, *ends: Any) -> int:
        """Note it, and count."""
        self.looked_for.append(part)
        return super().count(part, *ends)

    def __contains__(self, part: Any) -> bool:
        """Note it, and look."""
        self.looked_for.append(part)
        return super().__contains__(part)


@pytest.mark.parametrize(
    ("body", "looked_for"),
    [
        (b"[0%s]" % (b" " * (2 * MAX_CONTAINERS - 3)), []),
        (b"[0%s]" % (b" " * (2 * MAX_CONTAINERS - 2)), [b"[", b"{"]),
        (b"[%s]" % b",".join([b"[[]]"] * (MAX_CONTAINERS // 2 - 1) + [b"[]"]), [b"[", b"{"]),
        (b"[-1%s]" % (b" " * 2 * MAX_CONTAINERS), [b"[", b"{", b'"']),
    ],
    ids=["too short to hold too many", "a byte more", "as many as may be", "what does not fit"],
)
def test_brackets_are_counted_once_and_where_there_may_be_too_many(
    body: bytes, looked_for: list[bytes]
) -> None:
    """Each takes two bytes at least; the reader of all else does not count them again."""
    schema: Json = {"type": "number", "minimum": 0}
    for _ in range(3 if b"[[" in body else 1):
        schema = {"type": "array", "items": schema}
    watched = Watched(body)
    watched.looked_for = []
    with suppress(PayloadInvalid):
        Schema.compile(schema, where="s").read(watched)
    assert watched.looked_for == looked_for

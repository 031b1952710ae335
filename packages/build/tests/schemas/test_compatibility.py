"""What a change of a schema asks for: rule by rule, and against a validator on random payloads."""

import math
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from stevedore_build.schemas.compatibility import Change, compare, least_part
from stevedore_core.errors import PayloadInvalid, SchemaInvalid
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json

CASES: dict[str, tuple[Any, Any, list[str]]] = {
    "title": ({}, {"title": "A"}, ['`/title`: `nothing` became `"A"` (patch)']),
    "title of other letters": (
        {},
        {"title": "Größe"},
        ['`/title`: `nothing` became `"Größe"` (patch)'],
    ),
    "default": (
        {"default": 1, "description": "a"},
        {"$comment": "b", "examples": [1]},
        [
            '`/$comment`: `nothing` became `"b"` (patch)',
            "`/default`: `1` became `nothing` (patch)",
            '`/description`: `"a"` became `nothing` (patch)',
            "`/examples`: `nothing` became `[1]` (patch)",
        ],
    ),
    "type looser": (
        {"type": "integer"},
        {"type": "number"},
        ['`/type`: `"integer"` became `"number"` (minor)'],
    ),
    "type tighter": (
        {"type": ["string", "null"]},
        {"type": "string"},
        ['`/type`: `["string", "null"]` became `"string"` (major)'],
    ),
    "type gone": ({"type": "string"}, {}, ['`/type`: `"string"` became `nothing` (minor)']),
    "type written otherwise": (
        {"type": "string"},
        {"type": ["string"]},
        ['`/type`: `"string"` became `["string"]` (patch)'],
    ),
    "type is any": (
        {"type": ["array", "boolean", "integer", "null", "number", "object", "string"]},
        {},
        [
            (
                '`/type`: `["array", "boolean", "integer", "null", "number", "object",…` '
                "became `nothing` (patch)"
            )
        ],
    ),
    "enum looser": ({"enum": [1]}, {"enum": [1, 2]}, ["`/enum`: `[1]` became `[1, 2]` (minor)"]),
    "enum tighter": ({"enum": [1, 2]}, {"enum": [1]}, ["`/enum`: `[1, 2]` became `[1]` (major)"]),
    "enum sorted": (
        {"enum": [1, 2]},
        {"enum": [2, 1]},
        ["`/enum`: `[1, 2]` became `[2, 1]` (patch)"],
    ),
    "enum of a truth": (
        {"enum": [1]},
        {"enum": [True]},
        ["`/enum`: `[1]` became `[true]` (major)"],
    ),
    "const of an object": ({"const": {"a": 1, "b": 2}}, {"const": {"b": 2, "a": 1}}, []),
    "const to enum": (
        {"const": "a"},
        {"enum": ["a", "b"]},
        [
            '`/const`: `"a"` became `nothing` (minor)',
            '`/enum`: `nothing` became `["a", "b"]` (minor)',
        ],
    ),
    "bound wider": ({"minimum": 1}, {"minimum": 0}, ["`/minimum`: `1` became `0` (minor)"]),
    "bound added": ({}, {"maximum": 9}, ["`/maximum`: `nothing` became `9` (major)"]),
    "bound exclusive": (
        {"maximum": 9},
        {"exclusiveMaximum": 9},
        [
            "`/exclusiveMaximum`: `nothing` became `9` (major)",
            "`/maximum`: `9` became `nothing` (major)",
        ],
    ),
    "bound inclusive": (
        {"exclusiveMinimum": 0},
        {"minimum": 0},
        [
            "`/exclusiveMinimum`: `0` became `nothing` (minor)",
            "`/minimum`: `nothing` became `0` (minor)",
        ],
    ),
    "length": (
        {"minLength": 1, "maxLength": 3},
        {"minLength": 2, "maxLength": 4},
        ["`/maxLength`: `3` became `4` (minor)", "`/minLength`: `1` became `2` (major)"],
    ),
    "length of at least none": (
        {},
        {"minLength": 0},
        ["`/minLength`: `nothing` became `0` (patch)"],
    ),
    "length of at least none gone": (
        {"minLength": 0},
        {},
        ["`/minLength`: `0` became `nothing` (patch)"],
    ),
    "length gone": ({"minLength": 1}, {}, ["`/minLength`: `1` became `nothing` (minor)"]),
    "length written otherwise": (
        {"maxLength": 3},
        {"maxLength": 3.0},
        ["`/maxLength`: `3` became `3.0` (patch)"],
    ),
    "counts": (
        {"minItems": 2, "maxItems": 2, "minProperties": 2, "maxProperties": 2},
        {"minItems": 1, "maxItems": 3, "minProperties": 1, "maxProperties": 3},
        [
            "`/maxItems`: `2` became `3` (minor)",
            "`/maxProperties`: `2` became `3` (minor)",
            "`/minItems`: `2` became `1` (minor)",
            "`/minProperties`: `2` became `1` (minor)",
        ],
    ),
    "multiple looser": (
        {"multipleOf": 0.3},
        {"multipleOf": 0.1},
        ["`/multipleOf`: `0.3` became `0.1` (minor)"],
    ),
    "multiple tighter": (
        {"multipleOf": 2},
        {"multipleOf": 4},
        ["`/multipleOf`: `2` became `4` (major)"],
    ),
    "multiple gone": ({"multipleOf": 2}, {}, ["`/multipleOf`: `2` became `nothing` (minor)"]),
    "required": (
        {"required": ["a"]},
        {"required": ["a", "b"]},
        ['`/required`: `["a"]` became `["a", "b"]` (major)'],
    ),
    "required no more": (
        {"required": ["a"]},
        {},
        ['`/required`: `["a"]` became `nothing` (minor)'],
    ),
    "property of a closed object": (
        {"additionalProperties": False, "properties": {"a": {}}},
        {"additionalProperties": False, "properties": {"a": {}, "b/c": {"type": "null"}}},
        ['`/properties/b~1c`: `nothing` became `{"type": "null"}` (minor)'],
    ),
    "property of an open object": (
        {},
        {"properties": {"a": {"type": "null"}, "b": {"title": "B"}}},
        [
            '`/properties/a`: `nothing` became `{"type": "null"}` (major)',
            '`/properties/b`: `nothing` became `{"title": "B"}` (patch)',
        ],
    ),
    "property gone": (
        {"additionalProperties": False, "properties": {"a": {}}},
        {"additionalProperties": False},
        ["`/properties/a`: `{}` became `nothing` (major)"],
    ),
    "property gone of an open object": (
        {"properties": {"a": {"type": "null"}}},
        {},
        ['`/properties/a`: `{"type": "null"}` became `nothing` (minor)'],
    ),
    "inner": (
        {"properties": {"a": {"items": {"minimum": 1}}}},
        {"properties": {"a": {"items": {"minimum": 2}}}},
        ["`/properties/a/items/minimum`: `1` became `2` (major)"],
    ),
    "object opened": (
        {"additionalProperties": False},
        {},
        ["`/additionalProperties`: `false` became `true` (minor)"],
    ),
    "object closed": (
        {},
        {"additionalProperties": False},
        ["`/additionalProperties`: `true` became `false` (major)"],
    ),
    "property beside patterns": (
        {"patternProperties": {"^x": {}}},
        {"patternProperties": {"^x": {}}, "properties": {"a": {}}},
        ["`/properties/a`: `nothing` became `{}` (major)"],
    ),
    "property in place of patterns": (
        {"patternProperties": {"^x": {}}},
        {"properties": {"a": {}}},
        [
            '`/patternProperties`: `{"^x": {}}` became `nothing` (major)',
            "`/properties/a`: `nothing` became `{}` (major)",
        ],
    ),
    "others beside what is not evaluated": (
        {"unevaluatedProperties": False, "additionalProperties": {"type": "null"}},
        {"unevaluatedProperties": False},
        ['`/additionalProperties`: `{"type": "null"}` became `nothing` (major)'],
    ),
    "items looser": (
        {"items": {"maxItems": 1}},
        {"items": {"maxItems": 2}},
        ["`/items/maxItems`: `1` became `2` (minor)"],
    ),
    "items added": (
        {},
        {"items": {"type": "null"}},
        ['`/items/type`: `nothing` became `"null"` (major)'],
    ),
    "items gone": ({"items": False}, {}, ["`/items`: `false` became `true` (minor)"]),
    "items listed": (
        {"items": [{"type": "null"}]},
        {"items": [{}]},
        ['`/items`: `[{"type": "null"}]` became `[{}]` (major)'],
    ),
    "items listed now": (
        {"items": False},
        {"items": [{}]},
        ["`/items`: `false` became `[{}]` (major)"],
    ),
    "items listed no more": (
        {"items": [{}]},
        {"items": {}},
        ["`/items`: `[{}]` became `{}` (major)"],
    ),
    "items beside what is not evaluated": (
        {"items": {"type": "null"}, "unevaluatedItems": False},
        {"unevaluatedItems": False},
        ['`/items`: `{"type": "null"}` became `nothing` (major)'],
    ),
    "items in place of what is not evaluated": (
        {"unevaluatedItems": False},
        {"items": {"type": "null"}},
        [
            '`/items`: `nothing` became `{"type": "null"}` (major)',
            "`/unevaluatedItems`: `false` became `nothing` (major)",
        ],
    ),
    "what no rule knows": (
        {"format": "date", "pattern": "a"},
        {"format": "time"},
        [
            '`/format`: `"date"` became `"time"` (major)',
            '`/pattern`: `"a"` became `nothing` (major)',
        ],
    ),
    "definitions": (
        {"$defs": {"a": {"minimum": 2}}, "items": {"$ref": "#/$defs/a"}, "maxItems": 1},
        {"$defs": {"a": {"minimum": 1}}, "items": {"$ref": "#/$defs/a"}, "maxItems": 2},
        [
            '`/$defs`: `{"a": {"minimum": 2}}` became `{"a": {"minimum": 1}}` (major)',
            "`/maxItems`: `1` became `2` (minor)",
        ],
    ),
    "a schema that refers to itself": (
        {"maxItems": 1, "not": {"items": {"$ref": "#"}}},
        {"maxItems": 2, "not": {"items": {"$ref": "#"}}, "title": "A"},
        [
            "`/maxItems`: `1` became `2` (major)",
            '`/title`: `nothing` became `"A"` (patch)',
        ],
    ),
    "definitions by their older name": (
        {"definitions": {"a": {}}, "items": {"$ref": "#/definitions/a"}, "maxItems": 1},
        {"definitions": {"a": {}}, "items": {"$ref": "#/definitions/a"}, "maxItems": 2},
        ["`/maxItems`: `1` became `2` (minor)"],
    ),
    "a schema that refers to itself no more": (
        {"maxItems": 1, "not": {"$ref": "#"}},
        {"maxItems": 2},
        [
            "`/maxItems`: `1` became `2` (major)",
            '`/not`: `{"$ref": "#"}` became `nothing` (major)',
        ],
    ),
    **{
        f"a schema that refers to itself by {key} in a list": (
            {"maxItems": 1, "allOf": [{}, {"items": {key: "#"}}]},
            {"maxItems": 2, "allOf": [{}, {"items": {key: "#"}}]},
            ["`/maxItems`: `1` became `2` (major)"],
        )
        for key in ("$ref", "$dynamicRef", "$recursiveRef")
    },
    "nothing admitted": (
        False,
        {"type": "null"},
        ['`/`: `false` became `{"type": "null"}` (minor)'],
    ),
    "nothing admitted now": (True, False, ["`/`: `true` became `false` (major)"]),
    "the same": ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, []),
    "all admitted": (True, {}, []),
    "long": (
        {"pattern": "a" * 100},
        {},
        [f'`/pattern`: `"{"a" * 58}…` became `nothing` (major)'],
    ),
    "not long": (
        {"pattern": "a" * 58},
        {},
        [f'`/pattern`: `"{"a" * 58}"` became `nothing` (major)'],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_rules(case: str) -> None:
    """Each change is named by its place, with what stood and stands there, and what it asks for."""
    old, new, expected = CASES[case]
    assert [str(change) for change in compare(old, new)] == expected


def test_least_part() -> None:
    """The greatest of what the changes ask for; without changes a patch will do."""
    assert least_part([]) == "patch"
    found = compare({"minimum": 1, "title": "a"}, {"minimum": 0, "title": "b"})
    assert least_part(found) == "minor"
    worst = Change(pointer="", old="", new="", part="major")
    assert least_part([worst, *found]) == "major"


NAMES = st.sampled_from(["a", "b"])
SCALARS: st.SearchStrategy[Json] = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", 0.5, 1.5])
)
PAYLOADS: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.just("c"), inner),
    max_leaves=6,
)
KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(
        ["array", "integer", "number", "object", "string", ["null", "integer"]]
    ),
    "enum": st.lists(SCALARS, min_size=1, max_size=3),
    "const": SCALARS,
    "required": st.lists(NAMES, unique=True),
    "multipleOf": st.sampled_from([0.5, 1, 2, 3]),
    "not": st.sampled_from([{"type": "null"}, {"required": ["a"]}]),
    "patternProperties": st.just({"^[bc]": {"type": "integer"}}),
    "unevaluatedProperties": st.booleans(),
    "unevaluatedItems": st.booleans(),
    **dict.fromkeys(
        ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], st.integers(-2, 2)
    ),
    **dict.fromkeys(
        [f"{side}{what}" for side in ("min", "max") for what in ("Length", "Items", "Properties")],
        st.integers(0, 2),
    ),
}


def schemas(depth: int = 2) -> st.SearchStrategy[Any]:
    """Draw schemas of few keywords over few values, so that two are often close."""
    keywords = dict(KEYWORDS)
    if depth:
        inner = schemas(depth - 1)
        keywords["properties"] = st.dictionaries(NAMES, inner)
        keywords["additionalProperties"] = inner
        keywords["items"] = inner
    some = st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True)
    drawn = some.flatmap(lambda keys: st.fixed_dictionaries({key: keywords[key] for key in keys}))
    return drawn | st.booleans() if depth < 2 else drawn


def fits(schema: Json, payload: Json) -> bool:
    """Ask the validator that serves."""
    try:
        Schema.compile(schema, where="drawn").check(payload)
    except PayloadInvalid:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_is_not_major_breaks_no_caller(data: st.DataObject) -> None:
    """Where no change asks for a major release, every payload that was admitted still is."""
    old = data.draw(schemas())
    key = data.draw(st.sampled_from(sorted(KEYWORDS)))
    new = data.draw(schemas() | st.just({**old, key: data.draw(KEYWORDS[key])}))
    try:
        Schema.compile(old, where="old"), Schema.compile(new, where="new")
    except SchemaInvalid:
        reject()
    if least_part(compare(old, new)) != "major":
        for payload in data.draw(st.lists(PAYLOADS, min_size=5, max_size=10)):
            assert not fits(old, payload) or fits(new, payload), payload


@given(schemas())
def test_a_schema_and_itself(schema: Json) -> None:
    """Nothing changed."""
    assert compare(schema, schema) == ()


@given(st.sampled_from(["minimum", "maximum"]), st.integers(), st.integers(1))
def test_any_bound(key: str, bound: int, by: int) -> None:
    """To tighten a bound is major, to loosen it minor, whatever it is."""
    tighter = bound + int(math.copysign(1, 1 if key == "minimum" else -1)) * by
    assert [c.part for c in compare({key: bound}, {key: tighter})] == ["major"]
    assert [c.part for c in compare({key: tighter}, {key: bound})] == ["minor"]

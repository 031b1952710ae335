"""What an author of a schema did not mean is told with its place and what may be meant."""

import pytest

from stevedore_core.keywords import DRAFTS, KINDS, LATEST, TYPES_OF
from stevedore_core.schema_faults import schema_faults
from stevedore_core.strict_json import Json

NAMED = {"type": "object", "required": ["size"], "properties": {"size": {"type": "number"}}}


def faults(schema: dict[str, Json]) -> list[str]:
    """Return the faults of a schema of the latest draft, in words."""
    return [str(fault) for fault in schema_faults({"$schema": LATEST, **schema})]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            {"type": "array", "minItem": 1},
            "`/minItem`: `minItem` is no keyword of its draft; did you mean `minItems`?",
        ),
        (
            {"type": "string", "format": "data-time"},
            "`/format`: `data-time` is no format of its draft; did you mean `date-time`?",
        ),
        (
            {"type": "array", "minItems": "1"},
            "`/minItems`: expected a whole number from 0 on, found `1`",
        ),
        (
            {"type": "arry"},
            (
                "`/type`: expected one of `array`, `boolean`, `integer`, `null`, `number`, "
                "`object`, `string`, found `arry`; did you mean `array`?"
            ),
        ),
        ({"type": []}, "`/type`: expected a type or an array of types, found `[]`"),
        (
            {"minimum": 1},
            "`/type`: missing; expected `number` or `integer`: `minimum` bind no other values",
        ),
        (
            {"type": "string", "minItems": 1},
            (
                "`/type`: `string` has no use for `minItems`, which stands beside it; "
                "did you mean `array`?"
            ),
        ),
        (
            {"type": "number", "minimum": 2, "maximum": 1},
            "`/minimum`: expected less than `maximum`, which is `1`, found `2`: no value fits both",
        ),
        (
            {**NAMED, "required": ["sise"]},
            (
                "`/required/0`: expected a name out of `properties`, found `sise`; "
                "did you mean `size`?"
            ),
        ),
        (
            {**NAMED, "required": ["weight"], "additionalProperties": False},
            "`/required/0`: expected a name out of `properties`, found `weight`",
        ),
        (
            {"$ref": "#/$defs/rwo", "$defs": {"row": True}},
            (
                "`/$ref`: expected a place in this schema, found `#/$defs/rwo`; "
                "did you mean `#/$defs/row`?"
            ),
        ),
        (
            {"$ref": "#/$defs/row/items", "$defs": {"row": True}},
            (
                "`/$ref`: expected a place in this schema, found `#/$defs/row/items`; "
                "did you mean `#/$defs/row`?"
            ),
        ),
        (
            {"$ref": "#/enum/rad", "enum": ["red"]},
            "`/$ref`: expected a place in this schema, found `#/enum/rad`",
        ),
        (
            {"anyOf": [{"type": "array", "items": {"tpye": "null"}}]},
            "`/anyOf/0/items/tpye`: `tpye` is no keyword of its draft; did you mean `type`?",
        ),
    ],
)
def test_fault(schema: dict[str, Json], said: str) -> None:
    """Each fault has its place, what is expected, and what may be meant."""
    assert faults(schema) == [said]


@pytest.mark.parametrize(
    "schema",
    [
        NAMED,
        {**NAMED, "required": ["weight"]},
        {"type": ["array", "null"], "minItems": 1},
        {"type": "number", "x-unit": "cm", "description": "Length."},
        {"enum": [1, "auto"], "minimum": 1},
        {"type": "object", "if": {"required": ["a"]}, "then": {"properties": {"b": False}}},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}},
        {"type": "array", "prefixItems": [{"type": "null"}], "items": False},
    ],
)
def test_what_may_be_meant(schema: dict[str, Json]) -> None:
    """A schema that says something unusual is no fault."""
    assert faults(schema) == []


def test_draft() -> None:
    """The draft is missing or unknown."""
    unknown: Json = {"$schema": "https://json-schema.org/draft/2020-21/schema", "typ": "null"}
    assert [str(fault) for fault in schema_faults({})] == [
        f"`/$schema`: missing; expected a draft, such as `{LATEST}`"
    ]
    assert [str(fault) for fault in schema_faults(unknown)] == [
        (
            f"`/$schema`: expected a draft, such as `{LATEST}`, found "
            f"`https://json-schema.org/draft/2020-21/schema`; did you mean `{LATEST}`?"
        ),
        "`/typ`: `typ` is no keyword of its draft; did you mean `type`?",
    ]


def test_older_drafts() -> None:
    """A keyword of another draft says nothing in this one."""
    seven = {"$schema": "http://json-schema.org/draft-07/schema#"}
    assert schema_faults({**seven, "type": "array", "items": [True, False]}) == []
    assert [fault.pointer for fault in schema_faults({**seven, "prefixItems": [True]})] == [
        "/prefixItems",
        "/type",
    ]
    four: Json = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "number"}
    assert isinstance(four, dict)
    assert schema_faults({**four, "minimum": 1, "exclusiveMinimum": True}) == []


def test_booleans_have_no_words() -> None:
    """A schema that is `true` or `false` says nothing that could be misspelt."""
    assert schema_faults(True) == []  # noqa: FBT003  # it is the schema


def test_every_keyword_is_in_a_draft() -> None:
    """What is said of keywords is said of those that some draft knows."""
    known = {keyword for keywords in DRAFTS.values() for keyword in keywords} | {"$schema"}
    assert known >= {*KINDS, *TYPES_OF} - {"$id"}

"""The decoder for arrays of numbers: as strict as the long way, and what it reads is the same."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from stevedore_core.errors import StevedoreError
from stevedore_core.number_arrays import number_array_decoder
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json, decode

ROWS: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Flowers",
    "type": "array",
    "minItems": 1,
    "maxItems": 3,
    "items": {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": {"type": "number", "minimum": 0.5, "exclusiveMaximum": 30},
    },
}
ODD = """
0 -0 -0.0 0.5 0.49999999999999994 29.999999999999996 30 30.0 1e1 1E+1 1e-400 1e400 -1e999 01 1. +1
.5 0x1 1_0 9223372036854775807 9223372036854775808 -9223372036854775809 18446744073709551616
9007199254740992 9007199254740993 9007199254740993.0 -9007199254740993 3.4e38 -3.5e38
true null "1" {} NaN Infinity -Infinity
"""
NUMBERS = some.one_of(
    some.integers().map(str),
    some.integers(-3, 33).map(str),
    some.floats(allow_nan=True, allow_infinity=True).map(repr),
    some.floats(-3, 33).map(repr),
    some.sampled_from([*ODD.split(), "[1, 2]", "1 2", "", "1" * 400]),
)
TEXTS = some.recursive(
    NUMBERS,
    lambda inner: some.builds(
        "{}[{}{}]".format,
        some.sampled_from(["", " ", "\n\t", "\ufeff", "\x00", "/**/"]),
        some.lists(inner, max_size=4).map(", ".join),
        some.sampled_from(["", " ", ","]),
    ),
    max_leaves=8,
)
FAR: list[int | float] = [
    2**53,
    2**53 + 1,
    2**60,
    2**63 - 1,
    2**64 - 1,
    2.0**53,
    3.4e38,
    1e300,
    10**400,
]
BOUNDS = some.one_of(
    some.integers(-5, 35),
    some.floats(-5, 35),
    some.sampled_from(FAR),
    some.sampled_from([-bound for bound in FAR]),
)
LENGTHS = some.one_of(some.integers(0, 4), some.just(2.0))
ITEMS = some.fixed_dictionaries(
    {"type": some.sampled_from(["number", "integer"])},
    optional={
        "minimum": BOUNDS,
        "maximum": BOUNDS,
        "exclusiveMinimum": BOUNDS,
        "exclusiveMaximum": BOUNDS,
        "multipleOf": some.just(0.5),
        "description": some.just("a number"),
    },
)
SCHEMAS = some.recursive(
    ITEMS,
    lambda inner: some.fixed_dictionaries(
        {"type": some.just("array"), "items": inner},
        optional={"minItems": LENGTHS, "maxItems": LENGTHS, "uniqueItems": some.just(value=True)},
    ),
    max_leaves=3,
)


def long_way(schema: Json, body: bytes) -> str:
    """Return what decoding and checking one after the other give; an empty text if they refuse."""
    try:
        payload = decode(body)
        Schema.compile(schema, where="m").check(payload)
    except StevedoreError:
        return ""
    return repr(payload)


def short_way(schema: Json, body: bytes) -> str:
    """Return what the decoder gives; an empty text if it refuses or there is none."""
    decoder = number_array_decoder(schema)
    try:
        return "" if decoder is None else repr(decoder.decode(body))
    except msgspec.MsgspecError:
        return ""


@settings(max_examples=2_000, deadline=None)
@given(SCHEMAS, TEXTS)
def test_what_is_accepted_is_strict_and_fits(schema: Json, text: str) -> None:
    """Nothing is accepted, whatever schema and body, that the long way refuses or changes."""
    body = text.encode()
    found = short_way(schema, body)
    assert found in {"", long_way(schema, body)}


@settings(max_examples=500, deadline=None)
@given(some.lists(some.lists(some.floats(-1, 31), min_size=2, max_size=2), max_size=4))
def test_what_fits_is_accepted(rows: list[list[float]]) -> None:
    """The usual payload never needs the long way: an array of rows of floats."""
    body = json.dumps(rows).encode()
    assert short_way(ROWS, body) == long_way(ROWS, body)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("[[0.5, 29.9]]", True),
        ("[[1, 29]]", True),
        ("[[0, 1]]", False),
        ("[[0.4, 1]]", False),
        ("[[1, 30]]", False),
        ("[[1, 30.0]]", False),
        ("[[1]]", False),
        ("[[1, 1, 1]]", False),
        ("[]", False),
        ("[[1, 1], [1, 1], [1, 1], [1, 1]]", False),
        ("[1, 1]", False),
        ("[[1, 1]] x", False),
    ],
)
def test_bounds(text: str, fits: bool) -> None:  # noqa: FBT001  # the case's verdict
    """Each bound holds for integers and floats alike."""
    assert bool(short_way(ROWS, text.encode())) is fits
    assert bool(long_way(ROWS, text.encode())) is fits


@pytest.mark.parametrize("bound", [2, 2.5])
@pytest.mark.parametrize("keyword", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
@pytest.mark.parametrize("text", ["[2]", "[2.0]", "[2.5]", "[3]", "[3.0]"])
def test_a_bound_between_integers(keyword: str, bound: float, text: str) -> None:
    """An integer is held against a bound that is none as a float would be."""
    schema: Json = {"type": "array", "items": {"type": "number", keyword: bound}}
    assert short_way(schema, text.encode()) == long_way(schema, text.encode())


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "number"},
        {"type": "array"},
        {"type": "array", "items": True},
        {"type": "array", "items": {"type": "string"}},
        {"type": "array", "items": {"type": ["number", "null"]}},
        {"type": "array", "items": {"type": "number", "multipleOf": 2}},
        {"type": "array", "items": {"type": "number", "minimum": 0, "exclusiveMinimum": 0}},
        {"type": "array", "items": {"type": "number", "maximum": 2**54 + 1}},
        {"type": "array", "items": {"type": "number", "maximum": 10**400}},
        {"type": "array", "items": {"type": "number", "minimum": 2**54}},
        {"type": "array", "items": {"type": "integer", "maximum": -(2**54)}},
        {"type": "array", "items": {"type": "integer", "exclusiveMinimum": 2**54}},
        {"type": "array", "items": {"type": "number", "exclusiveMaximum": -(2**54)}},
        {"type": "array", "items": {"type": "number"}, "uniqueItems": True},
        {"type": "array", "items": {"type": "number"}, "minItems": 1.0},
        {"type": "array", "items": {"type": "number"}, "$ref": "#/$defs/a", "$defs": {"a": True}},
    ],
)
def test_schemas_that_go_the_long_way(schema: Json) -> None:
    """What cannot be said exactly as a type has no decoder."""
    assert number_array_decoder(schema) is None


def test_words_for_people_change_nothing() -> None:
    """A schema may say as much as it likes about its numbers and still have a decoder."""
    words: dict[str, Json] = {
        "$comment": "as measured",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "default": None,
        "description": "Lengths",
        "examples": [],
        "title": "Lengths",
    }
    items: Json = {**words, "type": "number", "minimum": 0, "maximum": 9}
    schema: Json = {**words, "type": "array", "items": items, "minItems": 1, "maxItems": 2}
    assert short_way(schema, b"[0, 9.0]") == "[0, 9.0]"
    assert short_way(schema, b"[]") == short_way(schema, b"[10]") == ""


@pytest.mark.parametrize(
    ("keyword", "bound", "fits"),
    [
        ("minimum", 2**53, 2**53),
        ("maximum", -(2**53), -(2**53)),
        ("exclusiveMinimum", 2**53 - 1, 2**53),
        ("exclusiveMaximum", 1 - 2**53, -(2**53)),
    ],
)
def test_the_farthest_exact_bound(keyword: str, bound: int, fits: int) -> None:
    """Up to 2 to the power of 53 integers and floats are held against a bound alike."""
    schema: Json = {"type": "array", "items": {"type": "number", keyword: bound}}
    inside = f"[{fits}, {fits}.0]"
    assert short_way(schema, inside.encode()) == long_way(schema, inside.encode()) != ""
    assert short_way(schema, b"[0]") == long_way(schema, b"[0]") == ""


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize("bound", [3.4e38, 2**63, 2.0**53])
def test_far_bounds_go_the_short_way(kind: str, bound: float) -> None:
    """Bounds of a dtype hold back next to nothing, and cost the usual payload nothing."""
    schema: Json = {"type": "array", "items": {"type": kind, "minimum": -bound, "maximum": bound}}
    assert short_way(schema, b"[-1, 0, 1]") == "[-1, 0, 1]"
    assert short_way(schema, b"[1.5]") == ("[1.5]" if kind == "number" else "")
    assert short_way(schema, b"[1e39]") == ""
    large = str(2**53 + 1).encode()
    assert short_way(schema, b"[%s]" % large) == ""
    assert bool(long_way(schema, b"[%s]" % large)) is (bound > 2**53)


def test_a_schema_of_many_levels_goes_the_long_way() -> None:
    """The depth of a payload is bounded there."""
    schema: Json = {"type": "number"}
    for _ in range(16):
        schema = {"type": "array", "items": schema}
    assert number_array_decoder(schema) is not None
    assert number_array_decoder({"type": "array", "items": schema}) is None


def test_an_integer_may_be_written_as_a_float() -> None:
    """`1.0` is an integer for JSON Schema, and goes the long way."""
    schema: Json = {"type": "array", "items": {"type": "integer"}}
    assert short_way(schema, b"[1.0]") == ""
    assert Schema.compile(schema, where="m").read(b"[1.0]") == [1.0]

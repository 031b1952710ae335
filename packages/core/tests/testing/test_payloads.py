"""Payloads are made by rule from a schema and an example."""

import pytest

from stevedore_core.strict_json import Json
from stevedore_core.testing.payloads import (
    bound_payloads,
    invalid_payloads,
    item_counts,
    without_optional,
)


def _by_rule(schema: Json, example: Json) -> dict[str, Json]:
    cases = invalid_payloads(schema, example)
    return {case.rule: case.payload for case in cases if not case.rule.startswith("`type`")}


@pytest.mark.parametrize(
    ("schema", "example", "broken"),
    [
        ({"minimum": 2}, 3, {"`minimum` at ``": 1}),
        ({"maximum": 2.5}, 2, {"`maximum` at ``": 3.5}),
        ({"exclusiveMinimum": 2}, 3, {"`exclusiveMinimum` at ``": 2}),
        ({"exclusiveMaximum": 2}, 1, {"`exclusiveMaximum` at ``": 2}),
        ({"enum": ["a", "b"]}, "a", {"`enum` at ``": "no such value"}),
        ({"const": 1}, 1, {"`enum` at ``": "no such value"}),
        ({"minLength": 2}, "abc", {"`minLength` at ``": "x"}),
        ({"maxLength": 2}, "ab", {"`maxLength` at ``": "xxx"}),
        ({"minItems": 2}, [1, 2, 3], {"`minItems` at ``": [1]}),
        ({"maxItems": 3}, [1, 2], {"`maxItems` at ``": [1, 2, 1, 2]}),
        ({"uniqueItems": True}, [1, 2], {"`uniqueItems` at ``": [1, 2, 1]}),
        ({"required": ["a"]}, {"a": 1, "b": 2}, {"`required` a at ``": {"b": 2}}),
        (
            {"additionalProperties": False},
            {"a": 1},
            {"`additionalProperties` at ``": {"a": 1, "no such property": None}},
        ),
        ({"items": {"minimum": 2}}, [3, 4], {"`minimum` at `/0`": [1, 4]}),
        ({"items": [{}, {"minimum": 2}]}, [3, 4], {"`minimum` at `/1`": [3, 1]}),
        ({"prefixItems": [{}, {"minimum": 2}]}, [3, 4], {"`minimum` at `/1`": [3, 1]}),
        (
            {"properties": {"a": {"minimum": 2}, "b": {"minimum": 2}}},
            {"a": 3, "c": 4},
            {"`minimum` at `/a`": {"a": 1, "c": 4}},
        ),
        (
            {"properties": {"a/b": {"minimum": 2}}},
            {"a/b": 3},
            {"`minimum` at `/a~1b`": {"a/b": 1}},
        ),
        (
            {"items": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {"maximum": 5}}},
            [3],
            {"`maximum` at `/0`": [6]},
        ),
        ({"$ref": "https://example.com/schema"}, 3, {}),
        ({"$ref": "#"}, 3, {}),
        ({"$ref": "#/nowhere/at/all"}, 3, {}),
        (True, 3, {}),
    ],
)
def test_one_keyword_is_broken_in_one_place(
    schema: Json, example: Json, broken: dict[str, Json]
) -> None:
    """Each keyword that is understood yields a payload that breaks it and is else the example."""
    assert _by_rule(schema, example) == broken


def test_what_is_not_required_is_left_out() -> None:
    """One property at a time, at any depth; of an array the first item does for all."""
    row: Json = {
        "properties": {"a/b": {"properties": {"c": {}, "d": {}}, "required": ["d"]}, "e": {}},
        "required": ["a/b"],
    }
    cases = without_optional({"items": row}, [{"a/b": {"c": 1, "d": 2}}, {"e": 3}])
    assert {case.rule: case.payload for case in cases} == {
        "no `c` at `/0/a~1b`": [{"a/b": {"d": 2}}, {"e": 3}]
    }
    assert [case.rule for case in without_optional(row, {"a/b": {"d": 2}, "e": 3})] == [
        "no `e` at ``"
    ]


def test_type_is_replaced_by_every_other() -> None:
    """A value is replaced by one of each type that it does not have."""
    found = [case.payload for case in invalid_payloads({"type": "string"}, "a")]
    assert found == [None, True, 0.5, [], {}]


SCHEMA: Json = {
    "type": "object",
    "properties": {
        "whole": {"type": "integer", "minimum": 1, "maximum": 9},
        "open": {"type": "number"},
        "wide": {"type": "integer"},
        "between": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "inside": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 5},
        "listed": {"enum": [1, 2]},
        "fixed": {"const": 3},
        "flag": {"type": "boolean"},
        "row": {"prefixItems": [{"maximum": 7}]},
    },
}
EXAMPLE: Json = {
    "whole": 2,
    "open": 1.5,
    "wide": 4,
    "between": 0.25,
    "inside": 2,
    "listed": 1,
    "fixed": 3,
    "flag": True,
    "row": [1.5, 2.5],
    "unknown": 8.5,
}
KEPT: dict[str, Json] = {"fixed": 3, "flag": True, "unknown": 8.5}


def test_numbers_go_to_their_bounds() -> None:
    """All numbers that the schema describes take their bound at once; what else there is stays."""
    found = {case.rule: case.payload for case in bound_payloads(SCHEMA, EXAMPLE)}
    assert found == {
        "all numbers smallest": {
            **KEPT,
            "whole": 1,
            "open": -1e308,
            "wide": int(-1e308),
            "between": 5e-324,
            "inside": 1,
            "listed": 1,
            "row": [-1e308, 2.5],
        },
        "all numbers largest": {
            **KEPT,
            "whole": 9,
            "open": 1e308,
            "wide": int(1e308),
            "between": 0.9999999999999999,
            "inside": 4,
            "listed": 2,
            "row": [7, 2.5],
        },
        "all numbers integers": {
            **KEPT,
            "whole": 2,
            "open": 2,
            "wide": 4,
            "between": 0,
            "inside": 2,
            "listed": 1,
            "row": [2, 2.5],
        },
        "all numbers zero": {
            **KEPT,
            "whole": 0,
            "open": 0,
            "wide": 0,
            "between": 0,
            "inside": 0,
            "listed": 1,
            "row": [0, 2.5],
        },
    }


@pytest.mark.parametrize(
    ("schema", "example", "payloads"),
    [
        ({"maxItems": 3}, [1, 2], [[], [1], [1, 2, 1]]),
        ({}, [1, 2], [[], [1]]),
        ({"maxItems": 10**9}, [1, 2], [[], [1]]),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"maxItems": 2}}}, [1], [[], [1], [1, 1]]),
        ({"maxItems": 3}, [], []),
        ({"maxItems": 3}, {"a": 1}, []),
    ],
)
def test_item_counts(schema: Json, example: Json, payloads: list[Json]) -> None:
    """An array comes with no item, with one, and with as many as are admitted."""
    assert [case.payload for case in item_counts(schema, example)] == payloads

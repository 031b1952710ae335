"""Payloads made by rule from a schema and an example: broken ones, and ones at its bounds.

The conformance suite calls it and lets a validator judge what came out: a rule sees one keyword,
not the whole schema, so a payload that was to be broken may be admitted after all.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stevedore_core.json_pointers import escape, follow, steps_of
from stevedore_core.strict_json import Json

__all__ = ["PayloadCase", "bound_payloads", "invalid_payloads", "item_counts", "without_optional"]

_Put = Callable[[Json], Json]
"""Makes a payload of the example by putting a value in one place."""

_OF_EACH_TYPE: tuple[Json, ...] = (None, True, "text", 0.5, [], {})
_MAX_ITEMS = 100_000
_LARGEST = 1e308


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadCase:
    """A payload and the rule it was made by, which names the place as a JSON Pointer."""

    rule: str
    payload: Json


def invalid_payloads(schema: Json, example: Json) -> list[PayloadCase]:
    """Return payloads that each break one keyword of `schema` in one place of `example`."""
    return [
        PayloadCase(rule=f"{rule} at `{where}`", payload=put(wrong))
        for inner, value, where, put in _places(schema, example, schema)
        for rule, wrong in _wrong_values(inner, value)
    ]


def bound_payloads(schema: Json, example: Json) -> list[PayloadCase]:
    """Return payloads like `example` with its numbers at the bounds of `schema`.

    All smallest, all largest (where the schema has no bound, near those of a float), all integers.
    """
    choices = {"smallest": _smallest, "largest": _largest, "integers": _rounded, "zero": _zero}
    return [
        PayloadCase(
            rule=f"all numbers {name}", payload=_with_numbers(schema, example, schema, choose)
        )
        for name, choose in choices.items()
    ]


def item_counts(schema: Json, example: Json) -> list[PayloadCase]:
    """Return payloads like `example` with no item, one, and as many as `schema` admits."""
    if not isinstance(example, list) or not example:
        return []
    most = _resolved(schema, schema).get("maxItems")
    counts = [0, 1, most] if isinstance(most, int) and most <= _MAX_ITEMS else [0, 1]
    return [PayloadCase(rule=f"{n} items", payload=_repeated(example, n)) for n in counts]


def without_optional(schema: Json, example: Json) -> list[PayloadCase]:
    """Return payloads like `example`, each without a property that `schema` does not require."""
    return [
        PayloadCase(rule=f"no `{key}` at `{where}`", payload=put(_without(value, key)))
        for inner, value, where, put in _places(schema, example, schema)
        if isinstance(value, dict)
        for key in _object(inner.get("properties"))
        if key in value and key not in _array(inner.get("required"))
    ]


def _places(
    schema: Json, value: Json, root: Json, where: str = "", put: _Put = lambda value: value
) -> Iterator[tuple[dict[str, Json], Json, str, _Put]]:
    """Yield the schema and the value of each place, its pointer, and what puts another one there.

    Of items with one schema the first will do.
    """
    schema = _resolved(schema, root)
    yield schema, value, where, put
    if isinstance(value, list):
        schemas = _item_schemas(schema, len(value))
        for index, inner in enumerate(schemas):
            if inner is not None and inner not in schemas[:index]:
                place = _put_item(put, value, index)
                yield from _places(inner, value[index], root, f"{where}/{index}", place)
    if isinstance(value, dict):
        for key, inner in _object(schema.get("properties")).items():
            if key in value:
                place = _put_key(put, value, key)
                yield from _places(inner, value[key], root, f"{where}/{escape(key)}", place)


def _wrong_values(schema: dict[str, Json], value: Json) -> Iterator[tuple[str, Json]]:
    """Yield values that break one keyword of `schema` each; sub-schemas are left alone."""
    if "type" in schema:
        for other in _OF_EACH_TYPE:
            if type(other) is not type(value):
                yield f"`type` {type(other).__name__}", other
    if "enum" in schema or "const" in schema:
        yield "`enum`", "no such value"
    if isinstance(value, int | float):
        yield from _wrong_numbers(schema)
    if isinstance(value, str):
        yield from _wrong_texts(schema)
    if isinstance(value, list):
        yield from _wrong_arrays(schema, value)
    if isinstance(value, dict):
        yield from _wrong_objects(schema, value)


def _wrong_numbers(schema: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    for keyword, step in (
        ("minimum", -1),
        ("exclusiveMinimum", 0),
        ("maximum", 1),
        ("exclusiveMaximum", 0),
    ):
        bound = schema.get(keyword)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            yield f"`{keyword}`", bound + step


def _wrong_texts(schema: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if isinstance(shortest, int) and shortest > 0:
        yield "`minLength`", "x" * (shortest - 1)
    if isinstance(longest, int) and longest < _MAX_ITEMS:
        yield "`maxLength`", "x" * (longest + 1)


def _wrong_arrays(schema: dict[str, Json], value: list[Json]) -> Iterator[tuple[str, Json]]:
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    if isinstance(fewest, int) and fewest > 0:
        yield "`minItems`", value[: fewest - 1]
    if isinstance(most, int) and most < _MAX_ITEMS and value:
        yield "`maxItems`", _repeated(value, most + 1)
    if schema.get("uniqueItems") is True and value:
        yield "`uniqueItems`", [*value, value[0]]


def _wrong_objects(schema: dict[str, Json], value: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    for name in _array(schema.get("required")):
        yield f"`required` {name}", _without(value, name)
    if schema.get("additionalProperties") is False:
        yield "`additionalProperties`", {**value, "no such property": None}


def _with_numbers(
    schema: Json, value: Json, root: Json, choose: Callable[[dict[str, Json], float], Json]
) -> Json:
    """Return `value` with every number that `schema` describes replaced by what `choose` says."""
    schema = _resolved(schema, root)
    if isinstance(value, list):
        schemas = _item_schemas(schema, len(value))
        return [
            item if inner is None else _with_numbers(inner, item, root, choose)
            for item, inner in zip(value, schemas, strict=True)
        ]
    if isinstance(value, dict):
        properties = _object(schema.get("properties"))
        return {
            key: _with_numbers(properties[key], item, root, choose) if key in properties else item
            for key, item in value.items()
        }
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    listed = schema.get("enum")
    if isinstance(listed, list) and listed:
        return listed[-1] if choose is _largest else listed[0]
    return value if "const" in schema else choose(schema, value)


def _smallest(schema: dict[str, Json], _: float) -> Json:
    return _outermost(schema, "Minimum", -1)


def _largest(schema: dict[str, Json], _: float) -> Json:
    return _outermost(schema, "Maximum", 1)


def _outermost(schema: dict[str, Json], bound: str, sign: int) -> Json:
    """Return the last number that a bound admits in the direction of `sign`."""
    exclusive, is_whole = schema.get(f"exclusive{bound}"), schema.get("type") == "integer"
    if isinstance(exclusive, int | float):
        return exclusive - sign if is_whole else math.nextafter(exclusive, -sign * math.inf)
    return schema.get(bound.lower(), sign * (int(_LARGEST) if is_whole else _LARGEST))


def _rounded(_: dict[str, Json], value: float) -> Json:
    return round(value)


def _zero(_: dict[str, Json], __: float) -> Json:
    return 0


def _resolved(schema: Json, root: Json) -> dict[str, Json]:
    """Follow a reference within the document; what cannot be followed says nothing."""
    for _ in range(16):
        reference = _object(schema).get("$ref")
        if not isinstance(reference, str):
            return _object(schema)
        steps = steps_of(reference)
        schema, taken = follow(root, steps)
        if taken < len(steps) or not reference.startswith("#"):
            return {}
    return {}


def _item_schemas(schema: dict[str, Json], length: int) -> list[Json]:
    """Return the schema of each of `length` items; None where there is none."""
    prefix, rest = schema.get("prefixItems"), schema.get("items")
    if isinstance(rest, list):  # how drafts before 2020-12 say `prefixItems`
        prefix, rest = rest, schema.get("additionalItems")
    return [*_array(prefix), *[rest] * length][:length]


def _object(schema: Json) -> dict[str, Json]:
    return schema if isinstance(schema, dict) else {}


def _array(schema: Json) -> list[Json]:
    return schema if isinstance(schema, list) else []


def _without(value: dict[str, Json], name: Json) -> dict[str, Json]:
    return {key: item for key, item in value.items() if key != name}


def _put_item(put: _Put, value: list[Json], index: int) -> _Put:
    return lambda item: put([*value[:index], item, *value[index + 1 :]])


def _put_key(put: _Put, value: dict[str, Json], key: str) -> _Put:
    return lambda item: put({**value, key: item})


def _repeated(items: list[Json], length: int) -> list[Json]:
    return (items * (length // len(items) + 1))[:length]

"""Payloads that are arrays of numbers, read and checked in one pass over the bytes.

`schemas` asks for a decoder when a schema is compiled, and takes the long way where there is none.
"""

from collections.abc import Mapping
from math import ceil, floor
from types import GenericAlias
from typing import Annotated, Any

import msgspec

from stevedore_core.keywords import FOR_PEOPLE
from stevedore_core.strict_json import Json

__all__ = ["Decoder", "number_array_decoder"]

Decoder = msgspec.json.Decoder[Json]

_SAYS_NOTHING = FOR_PEOPLE | {"$schema"}
_LENGTHS = {"minItems": "min_length", "maxItems": "max_length"}
_BOUNDS = {
    "minimum": ("ge", ceil),
    "exclusiveMinimum": ("gt", floor),
    "maximum": ("le", floor),
    "exclusiveMaximum": ("lt", ceil),
}
"""By keyword: msgspec's name, and how a bound becomes one that means the same for integers."""

_MOST_EXACT = 2**53
"""Beyond, not every integer is a float, and a comparison of the two could err: where a bound lies
beyond, such integers go the long way."""
_FLOORS = ("minimum", "exclusiveMinimum")
_MAX_DEPTH = 16


def number_array_decoder(document: Json) -> Decoder | None:
    """Return what decodes a body that fits `document`, and refuses any other; `None` for most.

    Only schemas of arrays, of arrays of arrays and so on, of numbers have one. What it accepts is
    strict JSON that fits the schema, and comes out as `strict_json.decode` gives it. What it
    refuses may fit all the same, such as `1.0` for an integer: only the long way knows, and says
    why.

    Raises nothing: the decoder raises `msgspec.MsgspecError` where it refuses.
    """
    wanted = _array(document, _MAX_DEPTH)
    return None if wanted is None else msgspec.json.Decoder(wanted)


def _array(schema: Json, depth: int) -> Any:
    """Return the type of what an array's schema admits, if it can be said as one."""
    if not isinstance(schema, dict) or schema.get("type") != "array" or not depth:
        return None
    if not schema.keys() <= {"type", "items", *_LENGTHS, *_SAYS_NOTHING}:
        return None
    items = schema.get("items")
    item = _array(items, depth - 1) or _number(items)
    lengths: dict[str, Any] = {name: schema[key] for key, name in _LENGTHS.items() if key in schema}
    if item is None or not all(type(length) is int for length in lengths.values()):
        return None
    kind: Any = GenericAlias(list, item)
    return Annotated[kind, msgspec.Meta(**lengths)] if lengths else kind


def _number(schema: Json) -> Any:
    if not isinstance(schema, dict) or schema.get("type") not in ("number", "integer"):
        return None
    if not schema.keys() <= {"type", *_BOUNDS, *_SAYS_NOTHING}:
        return None
    given: dict[str, Any] = {key: schema[key] for key in _BOUNDS if key in schema}
    ends = ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"})
    if any(end <= given.keys() for end in ends) or any(_is_out(*bound) for bound in given.items()):
        return None
    whole = _bounded(int, dict(_of_integers(key, bound) for key, bound in given.items()))
    if schema["type"] == "integer":
        return whole
    if any(not _is_float(bound) for bound in given.values()):
        return None
    return whole | _bounded(float, {_BOUNDS[key][0]: float(given[key]) for key in given})


def _is_out(key: str, bound: float) -> bool:
    """Tell whether only integers that go the long way could fit a bound."""
    return bound > _MOST_EXACT if key in _FLOORS else bound < -_MOST_EXACT


def _of_integers(key: str, bound: float) -> tuple[str, int]:
    """Return what a bound means for integers that are no larger than `_MOST_EXACT`."""
    if abs(bound) > _MOST_EXACT:
        return ("ge", -_MOST_EXACT) if key in _FLOORS else ("le", _MOST_EXACT)
    name, rounded = _BOUNDS[key]
    return name, rounded(bound)


def _is_float(bound: float) -> bool:
    try:
        return float(bound) == bound
    except OverflowError:
        return False


def _bounded(kind: Any, bounds: Mapping[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind

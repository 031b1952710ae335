"""Comparing two answers. The conformance suite calls it."""

from stevedore_core.json_pointers import escape
from stevedore_core.strict_json import Json

__all__ = ["difference"]


def difference(found: Json, expected: Json, float_tolerance: float, where: str = "") -> str | None:
    """Return the first place at which two answers differ, as a JSON Pointer and a sentence.

    Two floats may differ by `float_tolerance`, relative, and absolute below 1. All else, integers
    included, must be equal.
    """
    if type(found) is not type(expected):
        return f"`{where}`: expected {expected!r}, found {found!r}"
    if isinstance(found, list) and isinstance(expected, list):
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(found, expected, strict=False))]
        same = len(found) == len(expected)
    elif isinstance(found, dict) and isinstance(expected, dict):
        pairs = [(key, found[key], expected[key]) for key in found if key in expected]
        same = found.keys() == expected.keys()
    else:
        pairs, same = [], _equal(found, expected, float_tolerance)
    if not same:
        return f"`{where}`: expected {expected!r}, found {found!r}"
    for key, one, other in pairs:
        inner = difference(one, other, float_tolerance, f"{where}/{escape(key)}")
        if inner is not None:
            return inner
    return None


def _equal(found: Json, expected: Json, float_tolerance: float) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= float_tolerance * max(1.0, abs(found), abs(expected))
    return found == expected

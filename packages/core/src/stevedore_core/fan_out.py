"""How many subschemas of a JSON Schema may look at one value. `schemas` refuses too many.

A validator tries the branches of `anyOf` and its like one by one. Branches that refer to branches
double with every step, so that a short schema can keep it busy for ages.
"""

from collections.abc import Iterator
from typing import Any

from stevedore_core.json_pointers import follow, steps_of
from stevedore_core.keywords import OF_SAME_VALUE, REFERENCES, subschemas
from stevedore_core.strict_json import Json, objects_in

__all__ = ["fan_out"]

_OF_NO_VALUE = ("$defs", "contentSchema", "definitions")
"""What holds schemas that look at nothing until another refers to them."""


def fan_out(document: Json) -> int:
    """Return how many subschemas may look at one value of a payload; 1 if none branches.

    Recursion counts once: how often it happens is up to the payload.
    """
    return _Counting(document).of(document)


class _Counting:
    """Counts each subschema once, its parts first, without recursion: chains may be long."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._anchors: dict[Any, Json] = {
            schema[key]: schema
            for schema in objects_in(document)
            for key in ("$anchor", "$dynamicAnchor")
            if isinstance(schema.get(key), str)
        }
        self._counts: dict[int, int] = {}

    def of(self, schema: Json) -> int:
        open_schemas = [schema]
        entered: set[int] = set()
        while open_schemas:
            current = open_schemas[-1]
            if id(current) in self._counts:
                open_schemas.pop()
            elif id(current) in entered:
                self._counts[id(current)] = self._count(current)
            else:
                entered.add(id(current))
                parts = [*self._of_same_value(current), *_inside(current)]
                open_schemas += [part for part in parts if id(part) not in entered]
        return self._counts[id(schema)]

    def _count(self, schema: Json) -> int:
        """Return the count of a schema, all of whose parts but those it is part of are counted."""
        here = sum(self._counts.get(id(part), 0) for part in self._of_same_value(schema))
        inside = max((self._counts.get(id(part), 0) for part in _inside(schema)), default=0)
        return max(1, here + inside)

    def _of_same_value(self, schema: Json) -> Iterator[Json]:
        """Yield the subschemas that look at the same value as `schema`."""
        yield from (inner for key, _, inner in subschemas(schema) if key in OF_SAME_VALUE)
        if isinstance(schema, dict):
            yield from (self._resolved(schema[key]) for key in REFERENCES if key in schema)

    def _resolved(self, reference: Json) -> Json:
        """Return what a reference within the document means; True if it means none there."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return True
        if not reference.startswith("#/"):
            return self._anchors.get(reference[1:], self._document)
        steps = steps_of(reference)
        target, taken = follow(self._document, steps)
        return target if taken == len(steps) else True


def _inside(schema: Json) -> Iterator[Json]:
    """Yield the subschemas that look at what is inside a value."""
    for key, _, inner in subschemas(schema):
        if key not in OF_SAME_VALUE and key not in _OF_NO_VALUE:
            yield inner

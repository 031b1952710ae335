"""How many subschemas of a JSON Schema may look at one value. `schemas` refuses too many.

A validator tries the branches of `anyOf` and its like one by one. Branches that refer to branches
double with every step, so that a short schema can keep it busy for ages.
"""

from collections.abc import Iterator

from stevedore_core.json_pointers import steps_of
from stevedore_core.strict_json import Json

__all__ = ["fan_out"]

_BRANCHES = ("allOf", "anyOf", "oneOf")
_SAME_VALUE = ("$ref", "$dynamicRef", "$recursiveRef", "not", "if", "then", "else")
_INSIDE = (
    "items",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "additionalProperties",
    "unevaluatedProperties",
)
_INSIDE_BY_NAME = ("properties", "patternProperties")
_REFERENCES = _SAME_VALUE[:3]


def fan_out(document: Json) -> int:
    """Return how many subschemas may look at one value of a payload; 1 if none branches.

    Recursion counts once: how often it happens is up to the payload.
    """
    return _Counting(document).of(document)


class _Counting:
    """Counts each subschema once, its parts first, without recursion: chains may be long."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._anchors = dict(_anchors(document))
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
        if not isinstance(schema, dict):
            return
        for key in _BRANCHES:
            if isinstance(branches := schema.get(key), list):
                yield from branches
        for key in ("dependentSchemas", "dependencies"):
            if isinstance(named := schema.get(key), dict):
                yield from named.values()
        for key in _SAME_VALUE:
            if key in schema:
                yield self._resolved(schema[key]) if key in _REFERENCES else schema[key]

    def _resolved(self, reference: Json) -> Json:
        """Return what a reference within the document means; True if it means none there."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return True
        if not reference.startswith("#/"):
            return self._anchors.get(reference[1:], self._document)
        target = self._document
        for key in steps_of(reference):
            if isinstance(target, list) and key.isdigit() and int(key) < len(target):
                target = target[int(key)]
            else:
                target = target.get(key, True) if isinstance(target, dict) else True
        return target


def _inside(schema: Json) -> Iterator[Json]:
    """Yield the subschemas that look at what is inside a value."""
    if not isinstance(schema, dict):
        return
    for key in _INSIDE:
        if key in schema and not isinstance(schema[key], list):
            yield schema[key]
    for key in ("prefixItems", "items"):  # before 2020-12, `items` was what `prefixItems` is
        if isinstance(places := schema.get(key), list):
            yield from places
    for key in _INSIDE_BY_NAME:
        if isinstance(named := schema.get(key), dict):
            yield from named.values()


def _anchors(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield every subschema that has a name of its own, with that name."""
    containers = [document]
    while containers:
        container = containers.pop()
        if isinstance(container, dict):
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := container.get(key), str):
                    yield name, container
            containers += container.values()
        elif isinstance(container, list):
            containers += container

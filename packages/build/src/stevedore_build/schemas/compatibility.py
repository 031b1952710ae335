"""What changed between two JSON Schemas of payloads, and the least part a release has to raise.

Loosening asks for a minor release: what callers send still fits. Tightening asks for a major one,
and so does whatever the rules below do not know. Words for people ask for a patch.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import inf
from typing import Any, Final, TypeAlias

from stevedore_build.versions import PARTS, Part
from stevedore_core.json_pointers import escape
from stevedore_core.keywords import FOR_PEOPLE, TYPES
from stevedore_core.strict_json import Json

__all__ = ["Change", "compare", "least_part"]

_Table: TypeAlias = Mapping[str, Any]

_MAX_SHOWN_CHARS: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One place at which two schemas differ."""

    pointer: str
    """A JSON Pointer into the schemas."""
    old: str
    """What stood there, as JSON, cut short; or `nothing`."""
    new: str
    part: Part

    def __str__(self) -> str:
        """Say it in a line."""
        return f"`{self.pointer or '/'}`: `{self.old}` became `{self.new}` ({self.part})"


def compare(old: Json, new: Json) -> tuple[Change, ...]:
    """Return the changes from one schema to another, in the order of their places.

    A schema that refers to more of itself than its `$defs` is not taken apart: there each change
    that is not for people only asks for a major release.
    """
    changes = tuple(_compared(old, new, ""))
    if _refers_to_itself(old) or _refers_to_itself(new):
        changes = tuple(c if c.part == "patch" else replace(c, part="major") for c in changes)
    return tuple(sorted(changes, key=lambda change: change.pointer))


def least_part(changes: Iterable[Change]) -> Part:
    """Return the least part that a release with these changes has to raise."""
    return max((change.part for change in changes), key=PARTS.index, default="patch")


def _compared(old: Json, new: Json, at: str) -> Iterator[Change]:
    """Compare two schemas that stand at the same place."""
    if _same(old, new):
        return
    before, after = _table(old), _table(new)
    if before is None or after is None:
        if before is not after:
            part: Part = "minor" if before is None else "major"
            yield Change(pointer=at, old=_shown(old), new=_shown(new), part=part)
        return
    yield from _compared_keywords(before, after, at)
    yield from _compared_properties(before, after, at)
    yield from _compared_items(before, after, at)


def _compared_keywords(old: _Table, new: _Table, at: str) -> Iterator[Change]:
    """Compare all but `properties`, `additionalProperties` and `items`."""
    structural = {"properties", "additionalProperties", "items"}
    for key in (old.keys() | new.keys()) - structural:
        if not _same(_only(old, (key,)), _only(new, (key,))):
            keywords, rule = _RULES.get(key, ((key,), _unknown))
            part = (
                "patch" if key in FOR_PEOPLE else rule(_only(old, keywords), _only(new, keywords))
            )
            yield _change(old, new, key, at, part)


def _compared_properties(old: _Table, new: _Table, at: str) -> Iterator[Change]:
    """Compare what each name of a property admits: its own schema, or that of all other names."""
    names, others = "properties", "additionalProperties"
    is_matched = bool({"patternProperties", "unevaluatedProperties"} & (old.keys() | new.keys()))
    before, after = old.get(names, {}), new.get(names, {})
    for name in before.keys() | after.keys():
        was, now = before.get(name, old.get(others, True)), after.get(name, new.get(others, True))
        if name in before and name in after:
            yield from _compared(was, now, f"{at}/{names}/{escape(name)}")
        else:
            part = "major" if is_matched else least_part(_compared(was, now, ""))
            yield _change(before, after, name, f"{at}/{names}", part)
    if is_matched and not _same(_only(old, (others,)), _only(new, (others,))):
        yield _change(old, new, others, at, "major")
    else:
        yield from _compared(old.get(others, True), new.get(others, True), f"{at}/{others}")


def _compared_items(old: _Table, new: _Table, at: str) -> Iterator[Change]:
    if _same(_only(old, ("items",)), _only(new, ("items",))):
        return
    is_listed = isinstance(old.get("items"), list) or isinstance(new.get("items"), list)
    if is_listed or "unevaluatedItems" in old.keys() | new.keys():
        yield _change(old, new, "items", at, "major")
    else:
        yield from _compared(old.get("items", True), new.get("items", True), f"{at}/items")


def _types(old: _Table, new: _Table) -> Part:
    return _part(_admitted_types(old), _admitted_types(new))


def _admitted_types(schema: _Table) -> frozenset[str]:
    said = schema.get("type", TYPES)
    types = frozenset({said} if isinstance(said, str) else said)
    return types | {"integer"} if "number" in types else types


def _values(old: _Table, new: _Table) -> Part:
    before, after = _admitted_values(old), _admitted_values(new)
    if before is None or after is None:
        return "minor" if after is None else "major"
    return _part(before, after)


def _admitted_values(schema: _Table) -> frozenset[str] | None:
    """Return the values that `enum` and `const` admit, as JSON; `None` for all."""
    lists = [schema["enum"]] if "enum" in schema else []
    lists += [[schema["const"]]] if "const" in schema else []
    sets = [frozenset(_text(value) for value in values) for values in lists]
    return frozenset.intersection(*sets) if sets else None


def _required(old: _Table, new: _Table) -> Part:
    return _part(frozenset(new.get("required", ())), frozenset(old.get("required", ())))


def _part(fewer: frozenset[str], more: frozenset[str]) -> Part:
    """Return what it takes to go from one set of what is admitted to another."""
    if fewer == more:
        return "patch"
    return "minor" if fewer <= more else "major"


def _bound(low: float, inclusive: str, exclusive: str, old: _Table, new: _Table) -> Part:
    """Compare a bound of numbers; `low` is 1 for one below which nothing is admitted, else -1."""
    bounds = []
    for schema in (old, new):
        at_most = low * schema[inclusive] if inclusive in schema else -inf
        below = low * schema[exclusive] if exclusive in schema else -inf
        bounds.append(max((at_most, 0), (below, 1)))
    return _ordered(*bounds)


def _least(key: str, old: _Table, new: _Table) -> Part:
    return _ordered((old.get(key, 0), 0), (new.get(key, 0), 0))


def _most(key: str, old: _Table, new: _Table) -> Part:
    return _ordered((-old.get(key, inf), 0), (-new.get(key, inf), 0))


def _ordered(old: tuple[float, int], new: tuple[float, int]) -> Part:
    """Compare two bounds below which nothing is admitted."""
    if old == new:
        return "patch"
    return "minor" if new < old else "major"


def _multiple(old: _Table, new: _Table) -> Part:
    key = "multipleOf"
    if key not in new:
        return "minor"
    if key in old and (Fraction(str(old[key])) / Fraction(str(new[key]))).denominator == 1:
        return "minor"
    return "major"


def _unknown(_old: _Table, _new: _Table) -> Part:
    return "major"


_Rule: TypeAlias = Callable[[_Table, _Table], Part]

_FLOOR: Final = ("minimum", "exclusiveMinimum")
_CEILING: Final = ("maximum", "exclusiveMaximum")

_RULES: Final[Mapping[str, tuple[tuple[str, ...], _Rule]]] = {
    "type": (("type",), _types),
    **dict.fromkeys(("enum", "const"), (("enum", "const"), _values)),
    "required": (("required",), _required),
    **dict.fromkeys(_FLOOR, (_FLOOR, partial(_bound, 1, *_FLOOR))),
    **dict.fromkeys(_CEILING, (_CEILING, partial(_bound, -1, *_CEILING))),
    **{
        f"min{what}": ((f"min{what}",), partial(_least, f"min{what}"))
        for what in ("Length", "Items", "Properties")
    },
    **{
        f"max{what}": ((f"max{what}",), partial(_most, f"max{what}"))
        for what in ("Length", "Items", "Properties")
    },
    "multipleOf": (("multipleOf",), _multiple),
}
"""By keyword: all keywords that bear on what it admits, and the rule that compares them."""


def _table(schema: Json) -> _Table | None:
    """Return a schema as an object; `None` for the one that admits nothing."""
    if isinstance(schema, dict):
        return schema
    return {} if schema is True else None


def _refers_to_itself(document: Json) -> bool:
    """Tell whether a schema refers to anything but its `$defs`."""
    if isinstance(document, list):
        return any(_refers_to_itself(item) for item in document)
    if not isinstance(document, dict):
        return False
    for key in ("$ref", "$dynamicRef", "$recursiveRef"):
        target = document.get(key)
        if isinstance(target, str) and not target.startswith(("#/$defs/", "#/definitions/")):
            return True
    return any(_refers_to_itself(value) for value in document.values())


def _change(old: _Table, new: _Table, key: str, at: str, part: Part) -> Change:
    before, after = (_shown(s[key]) if key in s else "nothing" for s in (old, new))
    return Change(pointer=f"{at}/{escape(key)}", old=before, new=after, part=part)


def _only(schema: _Table, keys: Iterable[str]) -> _Table:
    return {key: schema[key] for key in keys if key in schema}


def _same(one: object, other: object) -> bool:
    """Tell whether two values are the same JSON; for Python, `1` and `true` are equal."""
    return _text(one) == _text(other)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _shown(value: object) -> str:
    text = _text(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[: _MAX_SHOWN_CHARS - 1]}…"

"""What an author of a JSON Schema did not mean: words that say nothing, and words at odds.

The conformance suite asks, and build before it makes a model package's wheel. To a validator most
of these are no errors.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stevedore_core.fields import quote
from stevedore_core.json_pointers import escape, follow, pointer_of, steps_of
from stevedore_core.keywords import (
    DRAFTS,
    EXPECTED,
    FORMATS,
    KINDS,
    LATEST,
    OF_SAME_VALUE,
    REFERENCES,
    TYPES,
    TYPES_OF,
    subschemas,
)
from stevedore_core.spelling import did_you_mean
from stevedore_core.strict_json import Json

__all__ = ["Fault", "schema_faults"]

_OWN: Final = "x-"
"""How a keyword of an author's own begins."""

_OTHER_RULES: Final = {
    *REFERENCES, "allOf", "anyOf", "const", "enum", "if", "not", "oneOf",
}  # fmt: skip
"""What may say in place of `type` which values are meant."""

_BOUNDS: Final = (
    ("minimum", "maximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    ("minimum", "exclusiveMaximum"),
    ("exclusiveMinimum", "maximum"),
    ("minItems", "maxItems"),
    ("minLength", "maxLength"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that is wrong in a schema, and where, as a JSON Pointer."""

    pointer: str
    problem: str

    def __str__(self) -> str:
        """Say both."""
        return f"`{self.pointer}`: {self.problem}"


def schema_faults(schema: Json) -> list[Fault]:
    """Return what is wrong with a schema, outermost first. One that is no object has no words."""
    if not isinstance(schema, dict):
        return []
    draft = schema.get("$schema")
    known = DRAFTS.get(draft.removesuffix("#")) if isinstance(draft, str) else None
    faults = [] if known is not None else [_draft_fault(draft)]
    for pointer, part, is_whole in _parts(schema, "", is_whole=True):
        faults += _word_faults(part, pointer, known or DRAFTS[LATEST])
        faults += _type_faults(part, pointer, is_whole=is_whole)
        faults += _bound_faults(part, pointer)
        faults += _name_faults(part, pointer)
        faults += _reference_faults(part, pointer, schema)
    return faults


def _draft_fault(draft: Json) -> Fault:
    if draft is None:
        return Fault(pointer="/$schema", problem=f"missing; expected a draft, such as `{LATEST}`")
    meant = did_you_mean(draft, list(DRAFTS)) if isinstance(draft, str) else ""
    problem = f"expected a draft, such as `{LATEST}`, found {_shown(draft)}{meant}"
    return Fault(pointer="/$schema", problem=problem)


def _parts(
    schema: Json, pointer: str, *, is_whole: bool
) -> Iterator[tuple[str, dict[str, Json], bool]]:
    """Yield each schema in a schema, and whether it has to say alone what its values are."""
    if not isinstance(schema, dict):
        return
    yield pointer, schema, is_whole
    for key, place, inner in subschemas(schema):
        yield from _parts(inner, f"{pointer}{place}", is_whole=key not in OF_SAME_VALUE)


def _word_faults(schema: dict[str, Json], pointer: str, known: frozenset[str]) -> Iterator[Fault]:
    """Find keywords and formats that are none, and keywords whose value is none of theirs."""
    for key, value in schema.items():
        here = f"{pointer}/{escape(key)}"
        if key.startswith(_OWN):
            continue
        if key not in known and key != "$schema":
            meant = did_you_mean(key, known)
            yield Fault(pointer=here, problem=f"`{key}` is no keyword of its draft{meant}")
        elif key in KINDS and not _fits(key, value, known):
            expected = EXPECTED[KINDS[key]][0]
            yield Fault(pointer=here, problem=f"expected {expected}, found {_shown(value)}")
        elif key == "format" and value not in FORMATS:
            meant = did_you_mean(str(value), list(FORMATS))
            yield Fault(pointer=here, problem=f"`{value}` is no format of its draft{meant}")


def _fits(key: str, value: Json, known: frozenset[str]) -> bool:
    if key == "items" and isinstance(value, list) and "prefixItems" not in known:
        return True
    if "id" in known and key.startswith("exclusive"):  # once it said how `minimum` is meant
        return isinstance(value, bool)
    return EXPECTED[KINDS[key]][1](value)


def _type_faults(schema: dict[str, Json], pointer: str, *, is_whole: bool) -> Iterator[Fault]:
    """Find a type that is none, or is missing, or has no use for what stands beside it."""
    here, said = f"{pointer}/type", schema.get("type")
    listed = said if isinstance(said, list) else [said]
    speaking = {key: TYPES_OF[key] for key in schema if key in TYPES_OF}
    if "type" not in schema:
        told = [f"`{key}`" for key in speaking]
        if told and is_whole and not schema.keys() & _OTHER_RULES:
            meant = " or ".join(f"`{name}`" for name in next(iter(speaking.values())))
            problem = f"missing; expected {meant}: {', '.join(told)} bind no other values"
            yield Fault(pointer=here, problem=problem)
        return
    if said == []:
        yield Fault(pointer=here, problem="expected a type or an array of types, found `[]`")
    for name in listed:
        if name not in TYPES:
            names = ", ".join(f"`{known}`" for known in TYPES)
            meant = did_you_mean(name, list(TYPES)) if isinstance(name, str) else ""
            yield Fault(
                pointer=here, problem=f"expected one of {names}, found {_shown(name)}{meant}"
            )
            return
    for key, fitting in speaking.items():
        if not set(fitting) & set(listed):
            meant = " or ".join(f"`{name}`" for name in fitting)
            yield Fault(
                pointer=here,
                problem=f"{_shown(said)} has no use for `{key}`, which stands beside it; "
                f"did you mean {meant}?",
            )


def _bound_faults(schema: dict[str, Json], pointer: str) -> Iterator[Fault]:
    """Find bounds between which nothing lies."""
    for lower, upper in _BOUNDS:
        low, high = schema.get(lower), schema.get(upper)
        if not isinstance(low, int | float) or not isinstance(high, int | float):
            continue
        is_open = lower.startswith("exclusive") or upper.startswith("exclusive")
        if not isinstance(low, bool) and (low > high or (low == high and is_open)):
            yield Fault(
                pointer=f"{pointer}/{lower}",
                problem=f"expected less than `{upper}`, which is `{high}`, found `{low}`: "
                "no value fits both",
            )


def _name_faults(schema: dict[str, Json], pointer: str) -> Iterator[Fault]:
    """Find names that are required and cannot be, as no property has them."""
    required, properties = schema.get("required"), schema.get("properties")
    if not isinstance(required, list) or not isinstance(properties, dict):
        return
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    spare = [name for name in properties if name not in required]
    for number, name in enumerate(required):
        if not isinstance(name, str) or name in properties:
            continue
        meant = did_you_mean(name, spare)
        if closed or meant:
            yield Fault(
                pointer=f"{pointer}/required/{number}",
                problem=f"expected a name out of `properties`, found {_shown(name)}{meant}",
            )


def _reference_faults(schema: dict[str, Json], pointer: str, root: Json) -> Iterator[Fault]:
    """Find references within the document that lead nowhere."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return
    steps = steps_of(reference)
    target, taken = follow(root, steps)
    if taken == len(steps):
        return
    before = f"#{pointer_of(steps[:taken])}"
    there = [f"{before}/{escape(name)}" for name in target] if isinstance(target, dict) else []
    meant = did_you_mean(reference, _definitions(root))
    meant = meant or did_you_mean(f"{before}/{escape(steps[taken])}", there)
    yield Fault(
        pointer=f"{pointer}/$ref",
        problem=f"expected a place in this schema, found `{reference}`{meant}",
    )


def _definitions(root: Json) -> list[str]:
    tables = root if isinstance(root, dict) else {}
    return [
        f"#/{key}/{escape(name)}"
        for key, table in tables.items()
        if key in {"$defs", "definitions"} and isinstance(table, dict)
        for name in table
    ]


def _shown(value: Json) -> str:
    return quote(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

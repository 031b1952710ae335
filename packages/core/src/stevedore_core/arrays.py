"""`array`: a payload or a field of one that becomes a numpy array, declared by shape and dtype.

Authors call it in `payloads.py`, `payload_types` reads what it returns. It needs no numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import msgspec

from stevedore_core.errors import SchemaInvalid
from stevedore_core.strict_json import Json

__all__ = ["ARRAY_KEY", "Axis", "array"]

ARRAY_KEY = "x-array"
"""Where the JSON Schema of an array stands in that of its field, until `payload_types` takes it."""

_FLOAT16 = 65504.0
_FLOAT32 = (2 - 2.0**-23) * 2.0**127
_RANGES: dict[str, tuple[float, float]] = {
    "bool": (0, 1),
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    "float16": (-_FLOAT16, _FLOAT16),
    "float32": (-_FLOAT32, _FLOAT32),
    "float64": (-inf, inf),
}
"""By dtype: the least and the largest finite number that it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of an array of which the payload chooses the length, within bounds."""

    name: str
    at_least: int = 1
    """By default no axis is empty: an empty array has lost the axes that stand inside it."""
    at_most: int | None = None


def array(
    *,
    shape: Sequence[int | str | Axis],
    dtype: str,
    names: Sequence[str] = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> msgspec.Meta:
    """Declare an array. It may stand alone, or in `Annotated` beside a type of lists.

    Args:
        shape: The axes, outermost first: a length, or the name of an axis that has one or more
            items, or an `Axis`.
        dtype: The numpy dtype that all its numbers fit into, such as `float64` or `uint8`.
        names: What stands at each place of the last axis, in their order.
        minimum: The least number admitted; by default the least of the dtype.
        maximum: The largest number admitted; by default the largest of the dtype.

    Raises:
        SchemaInvalid: One of these makes no sense.
    """
    axes = [Axis(name=length) if isinstance(length, str) else length for length in shape]
    _refuse_axes(axes)
    if names and axes[-1] != len(names):
        raise SchemaInvalid(
            f"`array`: `names`: expected a last axis of {len(names)}, as many as there are names, "
            f"found {axes[-1].name if isinstance(axes[-1], Axis) else axes[-1]}"
        )
    schema = _number(dtype, minimum, maximum)
    said = {"description": f"In this order: {', '.join(names)}."} if names else {}
    for axis in reversed(axes):
        schema = {**said, "type": "array", **_length(axis), "items": schema}
        said = {}
    return msgspec.Meta(extra_json_schema={ARRAY_KEY: schema})


def _refuse_axes(axes: Sequence[int | Axis]) -> None:
    if not axes:
        raise SchemaInvalid("`array`: `shape`: expected one axis or more, found none")
    named = [axis.name for axis in axes if isinstance(axis, Axis)]
    for number, axis in enumerate(axes, start=1):
        if not isinstance(axis, Axis) and axis < 1:
            raise SchemaInvalid(
                f"`array`: `shape`, axis {number}: expected 1 or more, found {axis}"
            )
        if isinstance(axis, Axis) and axis.at_most is not None and axis.at_most < axis.at_least:
            raise SchemaInvalid(
                f"`array`: `shape`, axis {number}: expected at most {axis.at_least} items or more, "
                f"found {axis.at_most}"
            )
        if isinstance(axis, Axis) and named.count(axis.name) > 1:
            raise SchemaInvalid(
                f"`array`: `shape`, axis {number}: `{axis.name}` stands twice, and a JSON Schema "
                "cannot say that two axes are equally long; name them apart and compare their "
                "lengths in the Predictor"
            )


def _number(dtype: str, minimum: float | None, maximum: float | None) -> dict[str, Json]:
    if dtype not in _RANGES:
        known = ", ".join(f"`{name}`" for name in _RANGES)
        raise SchemaInvalid(f"`array`: `dtype`: expected one of {known}, found `{dtype}`")
    if dtype == "bool":
        if (minimum, maximum) != (None, None):
            raise SchemaInvalid(
                "`array`: `minimum`, `maximum`: a `bool` has no bounds; remove them"
            )
        return {"type": "boolean"}
    least, largest = _RANGES[dtype]
    for name, bound in (("minimum", minimum), ("maximum", maximum)):
        if bound is not None and not least <= bound <= largest:
            raise SchemaInvalid(
                f"`array`: `{name}`: expected {least} to {largest}, which `{dtype}` can hold, "
                f"found {bound}"
            )
    low, high = least if minimum is None else minimum, largest if maximum is None else maximum
    if low > high:
        raise SchemaInvalid(
            f"`array`: `minimum`, `maximum`: no number is at least {low} and at most {high}"
        )
    return {
        "type": "number" if dtype.startswith("float") else "integer",
        **({"minimum": low} if low > -inf else {}),
        **({"maximum": high} if high < inf else {}),
    }


def _length(axis: int | Axis) -> dict[str, Json]:
    if isinstance(axis, int):
        return {"minItems": axis, "maxItems": axis}
    return {
        **({"minItems": axis.at_least} if axis.at_least else {}),
        **({} if axis.at_most is None else {"maxItems": axis.at_most}),
    }

"""`array`: what shape, dtype and names come to in a JSON Schema, and what makes no sense."""

from collections.abc import Callable

import numpy as np
import pytest

from stevedore_core.arrays import ARRAY_KEY, Axis, array
from stevedore_core.errors import SchemaInvalid
from stevedore_core.strict_json import Json

FLOAT: Json = {"type": "number"}


def declared(**arguments: object) -> Json:
    """Return the schema of an array."""
    extra = array(**arguments).extra_json_schema  # type: ignore[arg-type]  # each test gives its own
    assert extra is not None
    schema: Json = extra[ARRAY_KEY]
    return schema


@pytest.mark.parametrize(
    ("axis", "lengths"),
    [
        (4, {"minItems": 4, "maxItems": 4}),
        ("n", {"minItems": 1}),
        (Axis(name="n"), {"minItems": 1}),
        (Axis(name="n", at_least=0), {}),
        (Axis(name="n", at_least=2, at_most=3), {"minItems": 2, "maxItems": 3}),
    ],
)
def test_axis(axis: int | str | Axis, lengths: dict[str, Json]) -> None:
    """A length is exact, a name is free, and by default no axis is empty."""
    assert declared(shape=[axis], dtype="float64") == {"type": "array", **lengths, "items": FLOAT}


def test_axes_stand_inside_one_another() -> None:
    """The first axis is the outermost; names belong to the last."""
    assert declared(shape=("n", 2, 3), dtype="float64", names=["x", "y", "z"]) == {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {
                "description": "In this order: x, y, z.",
                "type": "array",
                "minItems": 3,
                "maxItems": 3,
                "items": FLOAT,
            },
        },
    }


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("kind", ["int", "uint"])
def test_integers_have_the_bounds_of_their_dtype(kind: str, bits: int) -> None:
    """No integer that a dtype would wrap around is admitted."""
    limits = np.iinfo(f"{kind}{bits}")
    schema = declared(shape=(1,), dtype=f"{kind}{bits}")
    assert isinstance(schema, dict)
    assert schema["items"] == {"type": "integer", "minimum": limits.min, "maximum": limits.max}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_floats_have_the_bounds_of_their_dtype(dtype: str) -> None:
    """No number that a dtype would make infinite is admitted."""
    limits = np.finfo(dtype)
    schema = declared(shape=(1,), dtype=dtype)
    assert isinstance(schema, dict)
    low, high = float(limits.min), float(limits.max)
    assert schema["items"] == {"type": "number", "minimum": low, "maximum": high}


def test_bounds_may_be_narrower() -> None:
    """What the author knows of the numbers counts; what is left open is the dtype's."""
    schema = declared(shape=(1,), dtype="uint8", maximum=16)
    assert isinstance(schema, dict)
    assert schema["items"] == {"type": "integer", "minimum": 0, "maximum": 16}


def test_booleans() -> None:
    """`bool` is JSON's own, not 0 and 1."""
    assert declared(shape=(1,), dtype="bool") == {
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": {"type": "boolean"},
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: array(shape=(), dtype="float64"),
            "`array`: `shape`: expected one axis or more, found none",
        ),
        (
            lambda: array(shape=("n", 0), dtype="float64"),
            "`array`: `shape`, axis 2: expected 1 or more, found 0",
        ),
        (
            lambda: array(shape=[Axis(name="n", at_least=3, at_most=2)], dtype="float64"),
            "`array`: `shape`, axis 1: expected at most 3 items or more, found 2",
        ),
        (
            lambda: array(shape=("n", "n"), dtype="float64"),
            (
                "`array`: `shape`, axis 1: `n` stands twice, and a JSON Schema cannot say that two"
                " axes are equally long; name them apart and compare their lengths in the Predictor"
            ),
        ),
        (
            lambda: array(shape=("n",), dtype="double"),
            (
                "`array`: `dtype`: expected one of `bool`, `int8`, `int16`, `int32`, `int64`, "
                "`uint8`, `uint16`, `uint32`, `uint64`, `float16`, `float32`, `float64`, "
                "found `double`"
            ),
        ),
        (
            lambda: array(shape=("n",), dtype="bool", minimum=0),
            "`array`: `minimum`, `maximum`: a `bool` has no bounds; remove them",
        ),
        (
            lambda: array(shape=("n",), dtype="uint8", maximum=256),
            "`array`: `maximum`: expected 0 to 255, which `uint8` can hold, found 256",
        ),
        (
            lambda: array(shape=("n",), dtype="float64", minimum=2, maximum=1),
            "`array`: `minimum`, `maximum`: no number is at least 2 and at most 1",
        ),
        (
            lambda: array(shape=("n", 3), dtype="float64", names=["x", "y"]),
            "`array`: `names`: expected a last axis of 2, as many as there are names, found 3",
        ),
        (
            lambda: array(shape=("n",), dtype="float64", names=["x", "y"]),
            "`array`: `names`: expected a last axis of 2, as many as there are names, found n",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], object], message: str) -> None:
    """Each mistake in a declaration is found when it is made."""
    with pytest.raises(SchemaInvalid) as refused:
        call()
    assert str(refused.value) == message

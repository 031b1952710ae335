"""What a declared type cannot say: each field is named, with what to use instead."""

import dataclasses
import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import annotated_types
import msgspec
import numpy as np
import pydantic
import pytest
from numpy.typing import NDArray
from typing_extensions import TypeAliasType

from stevedore_core.arrays import array
from stevedore_core.json_types import read_type

if TYPE_CHECKING:
    from pathlib import Path as OnlyChecked

TEXT = "JSON has text there, of any form; use `str`, with a `pattern` for the form"
OTHER = (
    "it is no JSON value; use `str`, `int`, `float`, `bool`, `None`, `list`, `dict`, `Literal`, or "
    "a class with fields of these"
)


def objections(kind: Any) -> list[str]:
    """Return what is said of a type."""
    return list(read_type(kind, "PredictPayload").objections)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (dt.datetime, f"`datetime`: {TEXT}"),
        (dt.date, f"`date`: {TEXT}"),
        (uuid.UUID, f"`UUID`: {TEXT}"),
        (bytes, "`bytes`: JSON has text only; use `str`"),
        (set[int], "`set`: JSON has arrays only; use `list`"),
        (set, "`set`: JSON has arrays only; use `list`"),
        (decimal.Decimal, "`Decimal`: a payload holds a number there; use `float`"),
        (complex, "`complex`: JSON has no such number; use `tuple[float, float]`"),
        (np.ndarray, "`ndarray`: use `Annotated[list[float], array(…)]`"),
        (NDArray[np.float64], "`ndarray`: use `Annotated[list[float], array(…)]`"),
        (object, f"`object`: {OTHER}"),
        (Callable[[int], int], f"`Callable`: {OTHER}"),
        (Callable, f"`Callable`: {OTHER}"),
        (dict[int, float], "expected keys of `str`, as JSON has them, found `int`"),
        (Mapping[int, float], "expected keys of `str`, as JSON has them, found `int`"),
        (
            Annotated[float, annotated_types.Ge(0)],
            "only pydantic's models read `Ge`; use `msgspec.Meta`",
        ),
        (
            Annotated[float, pydantic.Field(ge=0)],
            "only pydantic's models read `FieldInfo`; use `msgspec.Meta`",
        ),
        (
            Annotated[list[float], array(shape=("n", 4), dtype="float64")],
            "expected `list[list[float]]`, which this `array` is, found `list[float]`",
        ),
        (
            Annotated[list[float], array(shape=("n",), dtype="int8")],
            "expected `list[int]`, which this `array` is, found `list[float]`",
        ),
        (
            Annotated[Sequence[bool], array(shape=("n",), dtype="bool")],
            "expected `list[bool]`, which this `array` is, found `Sequence[bool]`",
        ),
    ],
    ids=str,
)
def test_what_has_no_schema_is_named(kind: Any, said: str) -> None:
    """Wherever it stands: alone, in an array, a choice, an object or a field."""

    class Holder(TypedDict):
        place: kind

    assert objections(kind) == [f"`PredictPayload`: {said}"]
    for around in (
        list[kind],
        kind | None if isinstance(kind, type) else list[kind],
        tuple[int, kind],
    ):
        assert objections(around) == [f"`PredictPayload`: {said}"]
    assert objections(Mapping[str, kind]) == [f"`PredictPayload`: {said}"]
    Holder.__annotations__["place"] = kind  # a type checker takes no variable for a type
    assert objections(list[Holder]) == [f"`Holder.place`: {said}"]


def test_all_are_listed() -> None:
    """One look shows all there is to change."""

    @dataclasses.dataclass
    class Inner:
        when: dt.datetime

    @dataclasses.dataclass
    class Outer:
        photo: bytes
        good: list[dict[str, Literal["a"] | None]]
        tags: set[complex]

    Outer.__annotations__["inner"] = Inner
    assert objections(list[Outer]) == [
        "`Outer.photo`: `bytes`: JSON has text only; use `str`",
        "`Outer.tags`: `set`: JSON has arrays only; use `list`",
        f"`Inner.when`: `datetime`: {TEXT}",
    ]


def test_pydantic_reads_its_own_constraints_only() -> None:
    """What msgspec would read is passed over in a pydantic model, so it is told."""

    class Customer(pydantic.BaseModel):
        age: Annotated[int, msgspec.Meta(ge=0)]
        spent: list[Annotated[float, msgspec.Meta(ge=0)]]
        home: pydantic.HttpUrl
        rank: pydantic.PositiveInt
        since: dt.date

    said = "pydantic does not read `Meta` and `array`; use `pydantic.Field`"
    assert objections(list[Customer]) == [
        f"`Customer.age`: {said}",
        f"`Customer.spent`: {said}",
        f"`Customer.since`: `date`: {TEXT}",
    ]


def test_annotations_that_are_not_there_at_run_time_are_told() -> None:
    """A name that only type checkers see cannot be read."""

    class Customer(TypedDict):
        home: "OnlyChecked"

    assert objections(Customer) == [
        "`Customer`: its annotations cannot be read: NameError: name 'OnlyChecked' is not defined"
    ]


def test_pydantic_is_found_inside() -> None:
    """Where any class is pydantic's, pydantic has to make the schema."""

    class Customer(pydantic.BaseModel):
        age: int

    @dataclasses.dataclass
    class Pair:
        first: int

    Pair.__annotations__["second"] = Customer
    assert read_type(list[Customer], "").is_of_pydantic
    assert read_type(Pair, "").is_of_pydantic
    assert not read_type(list[int], "").is_of_pydantic


def test_order_of_fields_is_known() -> None:
    """Each class tells the order of its fields."""

    class Row(TypedDict):
        width: float
        height: float

    class Rows(TypedDict):
        rows: list[int]

    Rows.__annotations__["rows"] = list[Row]
    assert read_type(Rows, "").orders == {
        frozenset({"rows"}): ("rows",),
        frozenset({"width", "height"}): ("width", "height"),
    }


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        (TypeAliasType("Alias", list[int]), []),
        (
            TypeAliasType("Alias", set[int]),
            ["`PredictPayload`: `set`: JSON has arrays only; use `list`"],
        ),
    ],
)
def test_aliases_are_looked_through(alias: Any, said: list[str]) -> None:
    """What stands behind a name of its own counts."""
    assert objections(list[alias]) == said

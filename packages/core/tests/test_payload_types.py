"""Types of each kind: the schema they give, what it admits and refuses, and how they are found."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
    cast,
)

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import msgspec
import pydantic
import pytest
import typing_extensions
from msgspec import Meta

from stevedore_core.arrays import Axis, array
from stevedore_core.errors import ModelAbsent, ModelBroken, PayloadInvalid, SchemaInvalid
from stevedore_core.number_arrays import number_array_decoder
from stevedore_core.payload_types import declared_schemas, main, schema_of
from stevedore_core.schema_faults import schema_faults
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json

InstallModel = Callable[..., Path]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Age = Annotated[int, Meta(ge=0, le=150, description="In years.")]
Plan = Literal["basic", "plus"]
Spent = Annotated[list[float], array(shape=(3,), dtype="float64", minimum=0)]


class Keyed(TypedDict):
    """A customer.

    As of today.
    """

    plan: Plan
    age: Age
    spent: Spent
    note: NotRequired[str | None]


@dataclasses.dataclass(frozen=True)
class Row:
    """A customer.

    As of today.
    """

    plan: Plan
    age: Age
    spent: Spent
    note: str | None = None


class Struct(msgspec.Struct):
    """A customer.

    As of today.
    """

    plan: Plan
    age: Age
    spent: Spent
    note: str | None = None


class Model(pydantic.BaseModel):
    """A customer.

    As of today.
    """

    plan: Plan
    age: int = pydantic.Field(ge=0, le=150, description="In years.")
    spent: Annotated[
        list[Annotated[float, pydantic.Field(ge=0)]], pydantic.Field(min_length=3, max_length=3)
    ]
    note: str | None = None


Rows = Meta(min_length=1, max_length=2, title="Customers", description="One or two.")
Models = pydantic.Field(min_length=1, max_length=2, title="Customers", description="One or two.")
KINDS: dict[str, Any] = {
    "TypedDict": Annotated[list[Keyed], Rows],
    "dataclass": Annotated[list[Row], Rows],
    "Struct": Annotated[list[Struct], Rows],
    "pydantic": Annotated[list[Model], Models],
}


def given(kind: Any) -> Any:
    """Return what a type gives."""
    return schema_of(kind, name="PredictPayload", where="payloads")


def items_of(title: str) -> dict[str, Json]:
    """Return the schema of a customer, in the order in which it is written."""
    return {
        "title": title,
        "description": "A customer.\n\nAs of today.",
        "type": "object",
        "required": ["plan", "age", "spent"],
        "additionalProperties": False,
        "properties": {
            "plan": {"enum": ["basic", "plus"]},
            "age": {"description": "In years.", "type": "integer", "minimum": 0, "maximum": 150},
            "spent": {
                "type": "array",
                "minItems": 3,
                "maxItems": 3,
                "items": {"type": "number", "minimum": 0},
            },
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }


@pytest.mark.parametrize(
    ("kind", "title", "default"),
    [("TypedDict", "Keyed", False), ("dataclass", "Row", True), ("Struct", "Struct", True)],
)
def test_rows_read_as_if_written_by_hand(kind: str, title: str, default: bool) -> None:  # noqa: FBT001  # a column
    """Classes stand where they are used, docstrings and `Meta` describe, keys have an order."""
    row: Any = items_of(title)
    if default:
        row["properties"]["note"]["default"] = None
    expected = {
        "$schema": DRAFT,
        "title": "Customers",
        "description": "One or two.",
        "type": "array",
        "minItems": 1,
        "maxItems": 2,
        "items": row,
    }
    assert json.dumps(given(KINDS[kind])) == json.dumps(expected)


def test_pydantic_says_the_same_with_titles() -> None:
    """A pydantic model gives the same schema, but for the title that it gives each field."""
    row: Any = items_of("Model")
    properties = row["properties"]
    properties["note"]["default"] = None
    properties["plan"]["type"] = "string"
    for name, schema in properties.items():
        schema["title"] = name.capitalize()
    assert given(KINDS["pydantic"])["items"] == row


CUSTOMER: dict[str, Json] = {"age": 30, "plan": "basic", "spent": [0, 1.5, 2]}
PAYLOADS: list[tuple[str, Json, bool]] = [
    ("one", [CUSTOMER], True),
    ("two", [CUSTOMER, CUSTOMER], True),
    ("an optional key", [{**CUSTOMER, "note": "x"}], True),
    ("an optional key that is null", [{**CUSTOMER, "note": None}], True),
    ("at the bounds", [{**CUSTOMER, "age": 0}, {**CUSTOMER, "age": 150}], True),
    ("a whole number with a point", [{**CUSTOMER, "age": 30.0}], True),
    ("no row", [], False),
    ("a row too many", [CUSTOMER] * 3, False),
    ("no array", CUSTOMER, False),
    ("null for a row", [None], False),
    ("a missing column", [{"age": 30, "plan": "basic"}], False),
    ("a misspelt column", [{**CUSTOMER, "nota": "x"}], False),
    ("below a bound", [{**CUSTOMER, "age": -1}], False),
    ("above a bound", [{**CUSTOMER, "age": 151}], False),
    ("half an integer", [{**CUSTOMER, "age": 0.5}], False),
    ("text for an integer", [{**CUSTOMER, "age": "30"}], False),
    ("true for an integer", [{**CUSTOMER, "age": True}], False),
    ("an unknown choice", [{**CUSTOMER, "plan": "gold"}], False),
    ("too few numbers", [{**CUSTOMER, "spent": [0, 1]}], False),
    ("too many numbers", [{**CUSTOMER, "spent": [0, 1, 2, 3]}], False),
    ("a number below a bound", [{**CUSTOMER, "spent": [0, 1, -2]}], False),
    ("null for a number", [{**CUSTOMER, "spent": [0, 1, None]}], False),
    ("a number for text", [{**CUSTOMER, "note": 1}], False),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("what", "payload", "is_admitted"), PAYLOADS, ids=[p[0] for p in PAYLOADS])
def test_rows_admit_what_they_say(kind: str, what: str, payload: Json, is_admitted: bool) -> None:  # noqa: FBT001  # a column
    """Whatever declares it, the same is admitted, by the validator of the runtime and the other."""
    schema = given(KINDS[kind])
    assert (admits(schema, payload), referee(schema).is_valid(payload)) == (is_admitted,) * 2, what


def admits(schema: Json, payload: Json) -> bool:
    """Ask the validator of the runtime."""
    try:
        Schema.compile(schema, where="test").check(payload)
    except PayloadInvalid:
        return False
    return True


def referee(schema: Json) -> Any:
    """Return the other validator, once it found the schema valid in its draft."""
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


FLOWERS = Annotated[
    list[list[float]],
    array(
        shape=(Axis(name="n", at_most=3), 2),
        dtype="float64",
        minimum=0,
        maximum=30,
        names=["length in cm", "width in cm"],
    ),
    Meta(title="Irises", description="One to three flowers."),
]


def test_array() -> None:
    """Shape, dtype, names and `Meta` come together, and the runtime reads it in one pass."""
    schema = given(FLOWERS)
    assert json.dumps(schema) == json.dumps(
        {
            "$schema": DRAFT,
            "title": "Irises",
            "description": "One to three flowers.",
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "items": {
                "description": "In this order: length in cm, width in cm.",
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": {"type": "number", "minimum": 0, "maximum": 30},
            },
        }
    )
    assert number_array_decoder(schema) is not None


@pytest.mark.parametrize(
    ("payload", "is_admitted"),
    [
        ([[0, 30]], True),
        ([[1.5, 2]] * 3, True),
        ([], False),
        ([[1, 2]] * 4, False),
        ([1, 2], False),
        ([[1]], False),
        ([[1, 2, 3]], False),
        ([[1, -0.1]], False),
        ([[1, 30.1]], False),
        ([[1, True]], False),
        ([[1, "2"]], False),
        ([[1, None]], False),
    ],
)
def test_array_admits_what_it_says(payload: Json, is_admitted: bool) -> None:  # noqa: FBT001  # a column
    """An array of another shape or other numbers is refused."""
    schema = given(FLOWERS)
    assert (admits(schema, payload), referee(schema).is_valid(payload)) == (is_admitted,) * 2


def test_array_alone() -> None:
    """Without a type beside it, an array has a title all the same."""
    assert given(array(shape=("n",), dtype="uint8")) == {
        "$schema": DRAFT,
        "title": "Payload",
        "type": "array",
        "minItems": 1,
        "items": {"type": "integer", "minimum": 0, "maximum": 255},
    }


def test_array_beside_more() -> None:
    """What `Meta` says of an array is added; two descriptions become one."""
    kind = Annotated[
        list[bool],
        array(shape=(2,), dtype="bool", names=["left", "right"]),
        Meta(description="Doors.", examples=[[True, False]]),
    ]
    assert given(kind) == {
        "$schema": DRAFT,
        "title": "Payload",
        "description": "Doors. In this order: left, right.",
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": {"type": "boolean"},
        "examples": [[True, False]],
    }


def test_bounds_do_not_depend_on_what_was_made_before() -> None:
    """`typing` takes 0 and 0.0 for the same bound, and gives whichever type it made first."""
    first, second = Annotated[float, Meta(ge=0.0, le=7)], Annotated[float, Meta(ge=0, le=7.0)]
    assert first is second
    assert json.dumps(given(second)) == json.dumps(
        {"$schema": DRAFT, "title": "Payload", "type": "number", "minimum": 0, "maximum": 7}
    )
    assert given(Annotated[float, Meta(ge=0.5)])["minimum"] == 0.5


class Labelled(TypedDict):
    """A labelled customer."""

    instance: Keyed
    label: bool
    before: Keyed


class Tree(TypedDict, total=False):
    """A tree."""

    name: Required[str]
    children: "list[Tree]"


def test_a_class_that_is_used_twice_is_referred_to() -> None:
    """Only what stands in one place stands there itself."""
    schema = given(list[Labelled])
    assert schema["items"]["properties"] == {
        "instance": {"$ref": "#/$defs/Keyed"},
        "label": {"type": "boolean"},
        "before": {"$ref": "#/$defs/Keyed"},
    }
    assert schema["$defs"] == {"Keyed": items_of("Keyed")}


def test_a_class_that_holds_itself_is_referred_to() -> None:
    """Recursion ends."""
    schema = given(Tree)
    assert schema == {
        "$schema": DRAFT,
        "title": "Payload",
        "$ref": "#/$defs/Tree",
        "$defs": {
            "Tree": {
                "title": "Tree",
                "description": "A tree.",
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
                },
            }
        },
    }
    payload: Json = {"name": "a", "children": [{"name": "b", "children": [{"nam": "c"}]}]}
    assert not admits(schema, payload)
    assert admits(schema, {"name": "a", "children": [{"name": "b"}]})


class Circle(msgspec.Struct, tag=True):
    """A circle."""

    radius: float


class Square(msgspec.Struct, tag=True):
    """A square."""

    side: float


def test_branches_tell_themselves_apart() -> None:
    """A keyword of OpenAPI has no place in a JSON Schema, and is not needed."""
    schema = given(Circle | Square)
    assert sorted(schema) == ["$schema", "anyOf", "title"]
    assert admits(schema, {"type": "Circle", "radius": 1})
    assert not admits(schema, {"type": "Circle", "side": 1})


class Open(pydantic.BaseModel):
    """Anything goes."""

    model_config = pydantic.ConfigDict(extra="allow")
    age: int


class Point(NamedTuple):
    """A point."""

    x: float
    y: float


T = TypeVar("T")


class Boxed(TypedDict, Generic[T]):
    """A box."""

    content: T


class Counted(typing_extensions.TypedDict):
    """Of the module that pydantic asks for before Python 3.12."""

    count: int


class Holder(pydantic.BaseModel):
    """A pydantic model with a `TypedDict` inside."""

    counted: list[Counted]


Cents = NewType("Cents", int)


@pytest.mark.parametrize(
    ("kind", "admitted", "refused"),
    [
        (dict[str, float], {"a": 1}, {"a": "1"}),
        (
            Annotated[Keyed, Meta(extra_json_schema={"additionalProperties": True})],
            {**CUSTOMER, "x": 1},
            {},
        ),
        (Open, {"age": 1, "more": 2}, {"more": 2}),
        (Point, [1, 2], [1]),
        (tuple[int, str], [1, "a"], ["a", 1]),
        (tuple[int, ...], [1, 2, 3], [1, "a"]),
        (Counted, {"count": 1}, {"count": 1, "more": 2}),
        (Holder, {"counted": [{"count": 1}]}, {"counted": [{"counts": 1}]}),
        (Boxed[int], {"content": 1}, {"content": "a"}),
        (list[Cents], [1], [0.5]),
        (Boxed[Any], {"content": [None]}, {}),
        (Annotated[str, Meta(pattern="^[a-z]+$")], "a", "1"),
        (list[pydantic.HttpUrl] | Model, CUSTOMER, {}),
    ],
    ids=str,
)
def test_other_types(kind: Any, admitted: Json, refused: Json) -> None:
    """What else has a schema has one that means it."""
    schema = given(kind)
    assert schema_faults(schema) == []
    assert admits(schema, admitted)
    assert not admits(schema, refused)


@pytest.mark.parametrize("kind", [*KINDS.values(), FLOWERS, Tree, list[Labelled]], ids=str)
def test_nothing_is_wrong_with_what_is_written(kind: Any) -> None:
    """What is said of schemas that are written by hand is not said of these."""
    assert schema_faults(given(kind)) == []


def test_every_type_has_one_text() -> None:
    """The same type gives the same text in every process, whatever it hashes to."""
    program = (
        "import json; from typing import *; from stevedore_core.payload_types import schema_of\n"
        "Row = TypedDict('Row', {'b': Literal['z', 'y', 'x'], 'a': Optional[float]})\n"
        "Rows = TypedDict('Rows', {'one': Row, 'two': Row, 'more': dict[str, list[Row]]})\n"
        "print(json.dumps(schema_of(list[Rows], name='PredictPayload', where='test')))"
    )
    texts = {
        subprocess.check_output(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


def test_the_worker_does_not_read_types() -> None:
    """At run time there are files only."""
    program = "import sys, stevedore_core.worker; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "stevedore_core.schemas" in loaded
    assert {
        f"stevedore_core.{name}" for name in ("arrays", "json_types", "payload_types")
    }.isdisjoint(loaded)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            Circle | Keyed,
            (
                "`payloads`: `PredictPayload` has no JSON Schema: Type unions may not contain more "
                "than one dict-like type (`Struct`, `dict`, `TypedDict`, `dataclass`) - type "
                f"`{__name__}.Circle | {__name__}.Keyed` is not supported"
            ),
        ),
        (
            Annotated[str, Meta(pattern="(?=a)")],
            (
                "`payloads: PredictPayload` is not a usable JSON Schema: at `/pattern`: not a "
                "pattern of linear time (no look-around, no back-references)"
            ),
        ),
    ],
)
def test_what_has_no_schema_is_refused(kind: Any, message: str) -> None:
    """What msgspec, pydantic or our validator refuse is told with the name of the type."""
    with pytest.raises(SchemaInvalid) as refused:
        given(kind)
    assert str(refused.value) == message


def test_what_an_author_adds_stays_as_it_is() -> None:
    """A condition beside a type is not closed, as the type is: it would hold for nothing."""
    condition: dict[str, Any] = {
        "if": {"properties": {"kind": {"const": "box"}}},
        "then": {"required": ["height"]},
        "dependentSchemas": {"lid": {"properties": {"height": {"minimum": 1}}}},
    }

    class Parcel(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(json_schema_extra=condition)
        kind: str
        height: float = 0.0
        lid: bool = False

    document: Any = schema_of(Parcel, name="Parcel", where="types")
    assert {key: document[key] for key in condition} == condition
    schema = Schema.compile(document, where="types")
    schema.check({"kind": "tube"})
    schema.check({"kind": "box", "height": 2, "lid": True})
    for refused in ({"kind": "box"}, {"kind": "tube", "height": 0.5, "lid": True}):
        with pytest.raises(PayloadInvalid):
            schema.check(cast("Json", refused))


def test_what_pydantic_refuses_is_refused() -> None:
    """Its reason is told, without the address of its manual."""

    class Mixed(pydantic.BaseModel):
        shape: Annotated[Any, pydantic.PlainValidator(len)]
        size: Annotated[Any, pydantic.GetPydanticSchema(lambda *_: {"type": "callable"})]

    with pytest.raises(SchemaInvalid) as refused:
        given(Mixed)
    assert str(refused.value) == (
        "`payloads`: `PredictPayload` has no JSON Schema: "
        "Cannot generate a JsonSchema for core_schema.CallableSchema"
    )


ADDING = """
def load():
    raise AssertionError("nobody loads it")
"""


def test_types_are_found_in_the_package(install_model: InstallModel) -> None:
    """Nothing is loaded: there may be no schema file yet."""
    package = install_model("add", ADDING)
    (package / "payloads.py").write_text("PredictPayload = list[int]\nScorePayload = list[float]\n")
    rest = {"$schema": DRAFT, "type": "array"}
    expected = {
        "predict.schema.json": {**rest, "title": "Payload", "items": {"type": "integer"}},
        "score.schema.json": {**rest, "title": "Labelled examples", "items": {"type": "number"}},
    }
    assert declared_schemas("add") == expected
    assert json.loads(main("add")) == {"schemas": expected}


def test_types_are_not_needed(install_model: InstallModel) -> None:
    """A package without the module has schemas that are written by hand."""
    install_model("add", ADDING)
    assert declared_schemas("add") == {}


def test_one_of_two_is_enough(install_model: InstallModel) -> None:
    """The other schema is written by hand then."""
    package = install_model("add", ADDING)
    (package / "payloads.py").write_text("ScorePayload = list[int]\n")
    assert list(declared_schemas("add")) == ["score.schema.json"]


def test_other_names_are_a_mistake(install_model: InstallModel) -> None:
    """A module of that name that declares nothing under the two names was meant otherwise."""
    package = install_model("add", ADDING)
    (package / "payloads.py").write_text("PredictPayloads = list[int]\n")
    message = (
        "`stevedore_model_add.payloads` must declare `PredictPayload` or `ScorePayload`, "
        "found neither"
    )
    with pytest.raises(SchemaInvalid) as refused:
        declared_schemas("add")
    assert str(refused.value) == message
    assert json.loads(main("add")) == {"error": message}


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_broken_module_is_told(install_model: InstallModel, text: str, raised: str) -> None:
    """What importing it raises is told."""
    package = install_model("add", ADDING)
    (package / "payloads.py").write_text(text)
    with pytest.raises(ModelBroken) as broken:
        declared_schemas("add")
    assert str(broken.value) == f"importing `stevedore_model_add.payloads` raised `{raised}`"


def test_declaration_that_makes_no_sense_is_told(install_model: InstallModel) -> None:
    """What `array` refuses keeps its words."""
    package = install_model("add", ADDING)
    source = "from stevedore_core.arrays import array\nPredictPayload = array(shape=(), dtype='')"
    (package / "payloads.py").write_text(source)
    with pytest.raises(SchemaInvalid, match=r"^`array`: `shape`: expected one axis or more"):
        declared_schemas("add")


def test_absent_model_is_told() -> None:
    """A model that is not installed is told as everywhere."""
    with pytest.raises(ModelAbsent, match=r"^no installed package provides the model `tulip`; "):
        declared_schemas("tulip")

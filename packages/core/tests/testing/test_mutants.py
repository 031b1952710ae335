"""Mistakes that authors make in schemas, examples and answers: the conformance suite finds them."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from stevedore_core.errors import StevedoreError
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_core.testing.package_rules import PackageRules

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MISSING = object()
LEAST = 38
"""How many of 40 mistakes must be found."""

SCHEMA: dict[str, Json] = {
    "$schema": DRAFT,
    "type": "array",
    "minItems": 1,
    "maxItems": 50,
    "items": {
        "type": "object",
        "required": ["size", "kind"],
        "additionalProperties": False,
        "properties": {
            "size": {"type": "number", "minimum": 0, "maximum": 100},
            "kind": {"enum": ["a", "b"]},
            "note": {"type": "string", "maxLength": 20, "pattern": "^[a-z]*$"},
        },
    },
}
EXAMPLE: Json = [
    {"size": 1.5, "kind": "a", "note": "x"},
    {"size": 3.0, "kind": "b", "note": "y"},
]


class Sizes(Predictor):
    """Doubles sizes; a good model, of which mutants are made."""

    batchable = True

    def convert_prediction_input(self, payload: Any) -> Any:
        """Return the sizes."""
        return [row["size"] for row in payload]

    def run_predict(self, X: Any) -> Any:  # noqa: N803  # as in core
        """Return them doubled."""
        return [2.0 * x for x in X]

    def convert_score_input(self, payload: Any) -> tuple[Any, Any]:
        """Return the sizes, twice."""
        sizes = self.convert_prediction_input(payload)
        return sizes, sizes

    def run_scores(self, X: Any, y: Any) -> Any:  # noqa: N803  # as in core
        """Return the mean size."""
        return {"mean": {"value": sum(X) / len(y), "direction": "lower"}}


def made(schema: Json, example: Json, kind: type[Predictor] = Sizes) -> Predictor:
    """Return a Predictor for both predicting and scoring on one schema and example."""
    return kind(None, "sizes", example, schema, example, SCHEMA, "1.0.0")


def changed(document: Json, path: str, value: object, name: str | None = None) -> Any:
    """Return a document of which one place is another, left out, or has another name."""
    first, _, rest = path.partition("/")
    if isinstance(document, list):
        number = int(first)
        inner = changed(document[number], rest, value, name) if rest else value
        return [*document[:number], inner, *document[number + 1 :]]
    assert isinstance(document, dict)
    if rest:
        return {**document, first: changed(document[first], rest, value, name)}
    others = {key: old for key, old in document.items() if key != first}
    if value is MISSING and name is None:
        return others
    return {**others, name or first: document[first] if value is MISSING else value}


def misspelt(path: str, name: str) -> Callable[[], Predictor]:
    """Return what makes a model with a keyword that is spelt otherwise."""
    return lambda: made(changed(SCHEMA, path, MISSING, name), EXAMPLE)


def with_schema(path: str, value: object) -> Callable[[], Predictor]:
    """Return what makes a model with another value in its schema."""
    return lambda: made(changed(SCHEMA, path, value), EXAMPLE)


def with_example(path: str, value: object) -> Callable[[], Predictor]:
    """Return what makes a model with another value in its example."""
    return lambda: made(SCHEMA, changed(EXAMPLE, path, value))


def answering(method: str, answer: Callable[..., object]) -> Callable[[], Predictor]:
    """Return what makes a model of which one method answers otherwise."""
    return lambda: made(SCHEMA, EXAMPLE, type("Mutant", (Sizes,), {method: answer}))


SIZE, NOTE = "items/properties/size", "items/properties/note"
MUTANTS: dict[str, Callable[[], Predictor]] = {
    "minItem": misspelt("minItems", "minItem"),
    "maxitems": misspelt("maxItems", "maxitems"),
    "item": misspelt("items", "item"),
    "typ": misspelt("type", "typ"),
    "schema": misspelt("$schema", "schema"),
    "property": misspelt("items/properties", "property"),
    "require": misspelt("items/required", "require"),
    "additionalProperty": misspelt("items/additionalProperties", "additionalProperty"),
    "minimun": misspelt(f"{SIZE}/minimum", "minimun"),
    "max": misspelt(f"{SIZE}/maximum", "max"),
    "enums": misspelt("items/properties/kind/enum", "enums"),
    "maxLenght": misspelt(f"{NOTE}/maxLength", "maxLenght"),
    "regex": misspelt(f"{NOTE}/pattern", "regex"),
    "type of another language": with_schema("type", "list"),
    "type twice": with_schema("type", ["array", "array"]),
    "type of numbers": with_schema(f"{SIZE}/type", "float"),
    "length as text": with_schema("minItems", "1"),
    "negative length": with_schema("maxItems", -1),
    "bound as text": with_schema(f"{SIZE}/maximum", "100"),
    "no list of names": with_schema("items/required", "size"),
    "enum that is no list": with_schema("items/properties/kind/enum", "a"),
    "pattern that looks back": with_schema(f"{NOTE}/pattern", "(?<=a)b"),
    "pattern that is none": with_schema(f"{NOTE}/pattern", "["),
    "unknown draft": with_schema("$schema", "https://json-schema.org/draft/2021-01/schema"),
    "reference outside": with_schema("items", {"$ref": "https://example.com/row.json"}),
    "reference to nothing": with_schema("items", {"$ref": "#/$defs/row"}),
    "unknown format": with_schema(NOTE, {"type": "string", "format": "timestamp"}),
    "bounds that leave nothing": with_schema(f"{SIZE}/minimum", 200),
    "no rule at all": lambda: made({"$schema": DRAFT}, EXAMPLE),
    "example too small": with_example("0/size", -1),
    "example of another type": with_example("0/size", "1.5"),
    "example without a property": with_example("0/kind", MISSING),
    "example with another property": with_example("0", {"size": 1, "kind": "a", "colour": 1}),
    "example of no rows": lambda: made(SCHEMA, []),
    "answer with NaN": answering("run_predict", lambda _, xs: [math.nan for _ in xs]),
    "answer without JSON": answering("run_predict", lambda _, xs: set(xs)),
    "answer too short": answering("run_predict", lambda _, xs: xs[1:]),
    "score without JSON": answering("run_scores", lambda *_: {"mean": object()}),
    "score of no direction": answering(
        "run_scores", lambda *_: {"mean": {"value": 1.0, "direction": "sideways"}}
    ),
    "score that is not finite": answering("run_scores", lambda *_: math.inf),
}  # fmt: skip

OF_PACKAGES = vars(PackageRules).keys() - {"test_created_is_in_the_past"}
"""What looks at an installed package; the models here have none."""


class Suite(Conformance):
    """The suite as a model package has it."""

    model = "sizes"


def objections(make: Callable[[], Predictor], without: str = "") -> list[str]:
    """Return what the suite, or loading for it, has against a model; a rule may be left out."""
    found = []
    for rule in dir(Conformance):
        if not rule.startswith("test_") or rule in {*OF_PACKAGES, without}:
            continue
        try:
            getattr(Suite(), rule)(make())
        except StevedoreError as error:
            return [str(error)]
        except pytest.fail.Exception as failure:
            found.append(str(failure))
        except Exception as error:  # noqa: BLE001  # pytest would report it
            found.append(repr(error))
    return found


@pytest.mark.fault("E4")
def test_mistakes_are_found(figure: Callable[[str], None]) -> None:
    """Of forty mistakes, each made in a good model, the suite finds 38 or more."""
    assert len(MUTANTS) == 40
    missed = [name for name, make in MUTANTS.items() if not objections(make)]
    assert len(MUTANTS) - len(missed) >= LEAST, missed
    figure(
        f"{len(MUTANTS) - len(missed)} of {len(MUTANTS)} found" + (f", not {missed}" * bool(missed))
    )


@pytest.mark.control("E4")
def test_a_suite_without_a_rule_is_seen() -> None:
    """Who does not look at the words of a schema misses more than two mistakes."""
    rule = "test_schemas_say_what_they_mean"
    missed = [name for name, make in MUTANTS.items() if not objections(make, rule)]
    assert len(MUTANTS) - len(missed) < LEAST


@pytest.mark.control("E4")
def test_a_good_model_has_no_objections() -> None:
    """The model that the mutants are made of has nothing to be found."""
    assert objections(lambda: made(SCHEMA, EXAMPLE)) == []

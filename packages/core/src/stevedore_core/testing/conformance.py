"""`Conformance`: one test for each rule of the contract. A model package's tests derive from it.

::

    class TestConformance(Conformance):
        model = "iris"
        float_tolerance = 1e-9
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from stevedore_core import self_test
from stevedore_core.discovery import load_model
from stevedore_core.errors import OutputNotJson, PayloadInvalid, PredictorFailed, SchemaInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.schema_faults import schema_faults
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json, encode
from stevedore_core.testing.answers import answers_of, difference, predicted
from stevedore_core.testing.package_rules import PackageRules
from stevedore_core.testing.payloads import (
    PayloadCase,
    bound_payloads,
    invalid_payloads,
    item_counts,
    without_optional,
)
from stevedore_core.testing.process_rules import ProcessRules

__all__ = ["Conformance"]


class Conformance(PackageRules, ProcessRules):
    """The rules that every model package keeps; each test's docstring is a rule.

    Each test gets a Predictor of its own. Where loading takes long, override the fixture
    `predictor` with a wider scope.
    """

    model: ClassVar[str]
    """The model's name, which is its entry point's."""

    float_tolerance: ClassVar[float] = 0.0
    """How far a float of a batch may be from the float of the instance alone: relative, and
    absolute below 1. All else must be equal. By default floats must be, too."""

    @pytest.fixture
    def predictor(self) -> Predictor:
        """Load the model by its entry point."""
        return load_model(self.model)

    def test_schemas_are_valid_in_the_draft_they_name(self, predictor: Predictor) -> None:
        """Each schema names its draft in `$schema` and is valid in that draft."""
        for name, schema, *_ in _parts(predictor):
            judge = jsonschema.validators.validator_for(schema, default=None)
            if judge is None:
                pytest.fail(f"the {name} schema must name a known draft in `$schema`")
            try:
                judge.check_schema(schema)
            except jsonschema.SchemaError as error:
                pytest.fail(f"the {name} schema is invalid at `{error.json_path}`: {error.message}")

    def test_schemas_say_what_they_mean(self, predictor: Predictor) -> None:
        """No keyword and no format is misspelt; keywords of the author's own begin with `x-`."""
        for name, schema, *_ in _parts(predictor):
            for fault in schema_faults(schema):
                if fault.pointer != "/$schema":  # the rule above is about that
                    pytest.fail(f"the {name} schema at {fault}")

    def test_schemas_refer_to_nothing_outside(self, predictor: Predictor) -> None:
        """A schema refers to itself only: nothing is ever fetched or read from a file."""
        for name, schema, *_ in _parts(predictor):
            try:
                Schema.compile(schema, where=f"{name} schema")
            except SchemaInvalid as error:
                pytest.fail(str(error))

    def test_examples_fit_their_schemas(self, predictor: Predictor) -> None:
        """Each packaged example fits its schema."""
        for name, schema, example, _ in _parts(predictor):
            for error in _referee(schema).iter_errors(example):
                pytest.fail(f"the {name} example at `{error.json_path}`: {error.message}")

    def test_both_validators_agree(self, predictor: Predictor) -> None:
        """The compiled validator and `jsonschema` agree, on examples and on payloads like them."""
        for name, schema, example, _ in _parts(predictor):
            compiled, referee = Schema.compile(schema, where=f"{name} schema"), _referee(schema)
            cases = (*invalid_payloads(schema, example), *bound_payloads(schema, example))
            for case in (PayloadCase(rule="the example", payload=example), *cases):
                if _admits(compiled, case.payload) != referee.is_valid(case.payload):
                    pytest.fail(f"the validators disagree on the {name} schema: {case.rule}")

    def test_invalid_payloads_are_refused(self, predictor: Predictor) -> None:
        """A payload that breaks the schema is refused as such, by `predict` and by `score`."""
        for name, schema, example, method in _parts(predictor):
            referee = _referee(schema)
            cases = [
                case
                for case in invalid_payloads(schema, example)
                if not referee.is_valid(case.payload)
            ]
            if not cases:
                pytest.fail(f"the {name} schema admits every payload that its rules should refuse")
            for case in cases:
                if (said := _outcome(method, case.payload)) != "PayloadInvalid":
                    pytest.fail(f"the {name} schema refuses {case.rule}, the Predictor: {said}")

    def test_payloads_at_the_bounds_are_answered(self, predictor: Predictor) -> None:
        """Whatever the schema admits is answered: a model's limits belong into its schema."""
        for name, schema, example, method in _parts(predictor):
            compiled = Schema.compile(schema, where=f"{name} schema")
            cases = [*bound_payloads(schema, example), *item_counts(schema, example)]
            for case in (*cases, *without_optional(schema, example)):
                said = _outcome(method, case.payload) if _admits(compiled, case.payload) else None
                if said is not None:
                    pytest.fail(f"the {name} schema admits {case.rule}, the Predictor: {said}")

    def test_input_is_not_changed(self, predictor: Predictor) -> None:
        """Predicting and scoring leave the payload as it was."""
        for _, _, example, method in _parts(predictor):
            payload = deepcopy(example)
            method(payload)
            if encode(payload) != encode(example):
                pytest.fail(f"`{method.__name__}` changes the payload that it is given")

    def test_same_input_gives_the_same_answer(self, predictor: Predictor) -> None:
        """The answer depends on the payload only, not on what was asked before."""
        answers = [answers_of(predictor) for _ in range(3)]
        if any(answer != answers[0] for answer in answers):
            pytest.fail("the same payload gets another answer when it is sent again")
        schema, example = predictor.p_schema, predictor.test_input
        for case in (*bound_payloads(schema, example), *item_counts(schema, example)):
            _outcome(predictor.predict, case.payload)
            if predicted(predictor, example) != answers[0][0]:
                pytest.fail(f"the answer depends on what was asked before it: {case.rule}")

    def test_prediction_is_as_long_as_the_payload(self, predictor: Predictor) -> None:
        """A batchable model predicts one element for each instance."""
        instances = _instances(predictor)
        for payload in (instances, instances[:1], instances * 2):
            prediction = predicted(predictor, payload)
            found = len(prediction) if isinstance(prediction, list) else prediction
            if found != len(payload):
                pytest.fail(f"expected a prediction of {len(payload)} elements, found {found!r}")

    def test_batch_equals_one_by_one(self, predictor: Predictor) -> None:
        """A batchable model predicts for each instance what it predicts for it alone."""
        instances = _instances(predictor)
        alone = [predicted(predictor, [instance])[0] for instance in instances]
        for order, payload, expected in (
            ("in order", instances, alone),
            ("in reverse", instances[::-1], alone[::-1]),
        ):
            found = difference(predicted(predictor, payload), expected, self.float_tolerance)
            if found is not None:
                pytest.fail(f"a batch {order} differs from its instances alone at {found}")

    def test_prediction_is_strict_json(self, predictor: Predictor) -> None:
        """The prediction can be written as JSON: no NaN, unless as `null`, and no foreign types."""
        try:
            predicted(predictor, predictor.test_input)
        except OutputNotJson as error:
            pytest.fail(str(error))

    def test_scores_are_finite_and_directed(self, predictor: Predictor) -> None:
        """`run_scores` gives finite numbers, each with a name and a direction."""
        try:
            scores = self_test.score_examples(predictor)
        except (OutputNotJson, PredictorFailed) as error:
            pytest.fail(f"{error}; cause: {error.__cause__!r}")
        if not all(score.name.strip() for score in scores):
            pytest.fail("every score must have a name")

    def test_self_test_passes(self, predictor: Predictor) -> None:
        """The self-test, which readiness rests on, passes."""
        verdict = self_test.run_self_test(predictor)
        if not verdict.passed:
            pytest.fail(f"the self-test says `{verdict.reason}`: {verdict.detail}")


def _parts(predictor: Predictor) -> list[tuple[str, Json, Json, Callable[[Json], Any]]]:
    """Return name, schema, example and method of predicting and of scoring."""
    return [
        ("prediction", predictor.p_schema, predictor.test_input, predictor.predict),
        ("score", predictor.s_schema, predictor.score_test_input, predictor.score),
    ]


def _referee(schema: Json) -> Any:
    latest = jsonschema.Draft202012Validator
    return jsonschema.validators.validator_for(schema, default=latest)(schema)


def _admits(schema: Schema, payload: Json) -> bool:
    try:
        schema.check(payload)
    except PayloadInvalid:
        return False
    return True


def _outcome(method: Callable[[Json], Any], payload: Json) -> str | None:
    """Return the name of what a call raises, or that it has no JSON form; None if it answers."""
    try:
        encode(method(deepcopy(payload)))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, the test reports it
        return type(error).__name__
    return None


def _instances(predictor: Predictor) -> list[Json]:
    if not predictor.batchable:
        pytest.skip("the model is not batchable")
    instances = predictor.test_input
    if not isinstance(instances, list) or len(instances) < 2:  # noqa: PLR2004  # fewer are no batch
        pytest.fail("the prediction example of a batchable model must be an array of two or more")
    return instances

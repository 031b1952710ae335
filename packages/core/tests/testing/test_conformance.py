"""Every rule of the conformance suite passes a Predictor that keeps it and fails a breach of it.

Those about packages are in `test_package_rules.py`, those about processes in `test_breaches.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_core.testing.process_rules import ProcessRules

DRAFT = "https://json-schema.org/draft/2020-12/schema"
NUMBER: dict[str, Json] = {"type": "number", "minimum": 0, "maximum": 100}
SCHEMA: dict[str, Json] = {"$schema": DRAFT, "type": "array", "minItems": 1, "items": NUMBER}
SCORE_SCHEMA: dict[str, Json] = {
    "$schema": DRAFT,
    "type": "array",
    "minItems": 1,
    "items": {"type": "array", "prefixItems": [NUMBER, NUMBER], "minItems": 2},
}


class Doubler(Predictor):
    """Doubles numbers, and keeps every rule."""

    batchable = True

    def convert_prediction_input(self, payload: Any) -> Any:
        """Return the numbers."""
        return payload

    def run_predict(self, X: Any) -> Any:  # noqa: N803  # as in core
        """Return them doubled."""
        return [2.0 * x for x in X]

    def convert_score_input(self, payload: Any) -> tuple[Any, Any]:
        """Return the numbers, and what they should be doubled."""
        return [row[0] for row in payload], [row[1] for row in payload]

    def run_scores(self, X: Any, y: Any) -> Any:  # noqa: N803  # as in core
        """Return the largest error."""
        errors = [abs(a - b) for a, b in zip(self.run_predict(X), y, strict=True)]
        return {"worst": {"value": max(errors), "direction": "lower"}}


def made(
    kind: type[Predictor] = Doubler, schema: Json = None, example: Json = None, **changed: Any
) -> Predictor:
    """Return a Predictor of `kind`; `changed` sets its attributes once it is made."""
    numbers: Json = [1.0, 2.5, 3.0]
    predictor = kind(
        None,
        "fake",
        numbers if example is None else example,
        SCHEMA if schema is None else schema,
        [[1.0, 2.0], [2.0, 4.5]],
        SCORE_SCHEMA,
        "1.0.0",
    )
    for name, value in changed.items():
        setattr(predictor, name, value)
    return predictor


def changed_class(method: str, body: Callable[..., Any], **attributes: Any) -> type[Predictor]:
    """Return a Doubler of which one method is another."""
    return type("Changed", (Doubler,), {method: body, **attributes})


class Sharer(Doubler):
    """Divides by the number of its numbers."""

    def run_predict(self, X: Any) -> Any:  # noqa: N803  # as in core
        """Return each number's share."""
        return [x / len(X) for x in X] or 1 / len(X)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A way to break a rule of the suite, and what the suite must say about it."""

    rule: str
    predictor: Callable[[], Predictor]
    message: str


def _grows(_: Predictor, payload: Any) -> Any:
    payload.append(payload[0])
    return payload[:-1]


def _grows_labels(_: Predictor, payload: Any) -> Any:
    payload[0].append(1)
    return [row[0] for row in payload], [row[1] for row in payload]


def _counts(self: Any, numbers: Any) -> Any:
    self.calls = getattr(self, "calls", 0) + 1
    return [x + self.calls for x in numbers]


def _counts_scores(self: Any, *_: Any) -> float:
    self.calls = getattr(self, "calls", 0.0) + 1
    return float(self.calls)


def _fails(*_: Any) -> Any:
    raise RuntimeError("out of order")


def _unchecked(_: Predictor, payload: Any) -> Any:
    return payload


def _unchecked_score(self: Predictor, payload: Any) -> Any:
    return self.run_scores(*self.convert_score_input(payload))


BREACHES = [
    *[
        Breach(
            rule="test_created_is_in_the_past",
            predictor=lambda created=created: made(created=created),  # type: ignore[misc]
            message=message,
        )
        for created, message in (
            ("yesterday", "`created` must be an ISO 8601 time, found 'yesterday'"),
            (None, "`created` must be an ISO 8601 time, found None"),
            ("2026-01-01T00:00:00", "`created` must be in UTC, found '2026-01-01T00:00:00'"),
            (
                "2026-01-01T00:00:00+02:00",
                "`created` must be in UTC, found '2026-01-01T00:00:00+02:00'",
            ),
            (
                "9999-01-01T00:00:00+00:00",
                "`created` must not be in the future, found '9999-01-01T00:00:00+00:00'",
            ),
        )
    ],
    Breach(
        rule="test_schemas_are_valid_in_the_draft_they_name",
        predictor=lambda: made(schema={"type": "array"}),
        message="the prediction schema must name a known draft in `$schema`",
    ),
    Breach(
        rule="test_schemas_are_valid_in_the_draft_they_name",
        predictor=lambda: made(s_schema={"$schema": "https://example.com/draft"}),
        message="the score schema must name a known draft in `$schema`",
    ),
    Breach(
        rule="test_schemas_are_valid_in_the_draft_they_name",
        predictor=lambda: made(p_schema=True),
        message="the prediction schema must name a known draft in `$schema`",
    ),
    Breach(
        rule="test_schemas_are_valid_in_the_draft_they_name",
        predictor=lambda: made(p_schema={"$schema": DRAFT, "minItems": "1"}),
        message="the prediction schema is invalid at `$.minItems`: '1' is not of type 'integer'",
    ),
    Breach(
        rule="test_schemas_say_what_they_mean",
        predictor=lambda: made(schema={**SCHEMA, "items": {**NUMBER, "minimun": 0}}),
        message="the prediction schema at `/items/minimun`: `minimun` is no keyword of its draft; "
        "did you mean `minimum`?",
    ),
    Breach(
        rule="test_schemas_say_what_they_mean",
        predictor=lambda: made(s_schema={**SCORE_SCHEMA, "anyOf": [{"format": "data-time"}]}),
        message="the score schema at `/anyOf/0/format`: `data-time` is no format of its draft; "
        "did you mean `date-time`?",
    ),
    Breach(
        rule="test_schemas_refer_to_nothing_outside",
        predictor=lambda: made(s_schema={"$schema": DRAFT, "$ref": "https://example.com/s"}),
        message="`score schema` is not a usable JSON Schema: ",
    ),
    Breach(
        rule="test_examples_fit_their_schemas",
        predictor=lambda: made(test_input=[1.0, "2"]),
        message="the prediction example at `$[1]`: '2' is not of type 'number'",
    ),
    Breach(
        rule="test_examples_fit_their_schemas",
        predictor=lambda: made(score_test_input=[]),
        message="the score example at `$`: [] should be non-empty",
    ),
    Breach(
        rule="test_both_validators_agree",  # 0.07 / 0.01 is not a whole number in binary
        predictor=lambda: made(schema={"$schema": DRAFT, "multipleOf": 0.01}, example=0.07),
        message="the validators disagree on the prediction schema: the example",
    ),
    Breach(
        rule="test_invalid_payloads_are_refused",
        predictor=lambda: made(schema={"$schema": DRAFT}),
        message="the prediction schema admits every payload that its rules should refuse",
    ),
    Breach(
        rule="test_invalid_payloads_are_refused",
        predictor=lambda: made(changed_class("predict", _unchecked)),
        message="the prediction schema refuses `type` NoneType at ``, the Predictor: None",
    ),
    Breach(
        rule="test_invalid_payloads_are_refused",
        predictor=lambda: made(changed_class("score", _unchecked_score)),
        message="the score schema refuses `type` NoneType at ``, the Predictor: TypeError",
    ),
    Breach(
        rule="test_payloads_at_the_bounds_are_answered",
        predictor=lambda: made(schema={**SCHEMA, "items": {"type": "number"}}),
        message="the prediction schema admits all numbers smallest, the Predictor: OutputNotJson",
    ),
    Breach(
        rule="test_payloads_at_the_bounds_are_answered",
        predictor=lambda: made(Sharer, schema={**SCHEMA, "minItems": 0}),
        message="the prediction schema admits 0 items, the Predictor: ZeroDivisionError",
    ),
    Breach(
        rule="test_input_is_not_changed",
        predictor=lambda: made(changed_class("convert_prediction_input", _grows)),
        message="`predict` changes the payload that it is given",
    ),
    Breach(
        rule="test_input_is_not_changed",
        predictor=lambda: made(changed_class("convert_score_input", _grows_labels)),
        message="`score` changes the payload that it is given",
    ),
    Breach(
        rule="test_same_input_gives_the_same_answer",
        predictor=lambda: made(changed_class("run_predict", _counts)),
        message="the same payload gets another answer when it is sent again",
    ),
    Breach(
        rule="test_same_input_gives_the_same_answer",
        predictor=lambda: made(changed_class("run_scores", _counts_scores)),
        message="the same payload gets another answer when it is sent again",
    ),
    Breach(
        rule="test_prediction_is_as_long_as_the_payload",
        predictor=lambda: made(changed_class("run_predict", lambda _, xs: xs[1:])),
        message="expected a prediction of 3 elements, found 2",
    ),
    Breach(
        rule="test_prediction_is_as_long_as_the_payload",
        predictor=lambda: made(changed_class("run_predict", lambda _, xs: sum(xs))),
        message="expected a prediction of 3 elements, found 6.5",
    ),
    Breach(
        rule="test_prediction_is_as_long_as_the_payload",
        predictor=lambda: made(changed_class("run_predict", lambda _, xs: [*xs, 0][:3])),
        message="expected a prediction of 1 elements, found 2",
    ),
    Breach(
        rule="test_prediction_is_as_long_as_the_payload",
        predictor=lambda: made(example=[1.0]),
        message="the prediction example of a batchable model must be an array of two or more",
    ),
    Breach(
        rule="test_batch_equals_one_by_one",
        predictor=lambda: made(
            changed_class("run_predict", lambda _, xs: [x / max(xs) for x in xs])
        ),
        message="a batch in order differs from its instances alone at `/0`: expected 1.0, found 0.",
    ),
    Breach(
        rule="test_batch_equals_one_by_one",
        predictor=lambda: made(
            changed_class("run_predict", lambda _, xs: [x if xs[0] <= xs[-1] else -x for x in xs])
        ),
        message="a batch in reverse differs from its instances alone at `/0`: expected 3.0, found",
    ),
    Breach(
        rule="test_prediction_is_strict_json",
        predictor=lambda: made(changed_class("run_predict", lambda *_: [math.nan])),
        message="the output holds NaN or Infinity, which JSON cannot say",
    ),
    Breach(
        rule="test_prediction_is_strict_json",
        predictor=lambda: made(changed_class("run_predict", lambda *_: {1, 2})),
        message="the output has no JSON form: ",
    ),
    *[
        Breach(
            rule="test_scores_are_finite_and_directed",
            predictor=lambda said=said: made(changed_class("run_scores", lambda *_: said)),  # type: ignore[misc]
            message=message,
        )
        for said, message in (
            (math.inf, "the output holds NaN or Infinity"),
            ({}, "`run_scores` returned no score: "),
            ({"mae": {"value": 1.0, "direction": "up"}}, "`run_scores` gave `mae` the direction"),
            ({" ": 1.0}, "every score must have a name"),
        )
    ],
    Breach(
        rule="test_scores_are_finite_and_directed",
        predictor=lambda: made(changed_class("run_scores", _fails)),
        message="model `fake` failed on this payload; cause: RuntimeError('out of order')",
    ),
    Breach(
        rule="test_self_test_passes",
        predictor=lambda: made(changed_class("run_predict", _fails)),
        message="the self-test says `predictor-failed`: model `fake` failed on this payload",
    ),
]

# These load a package from disk; `test_package_rules.py` breaks them.
OF_PACKAGES = {
    "test_schema_files_are_what_their_types_give",
    "test_version_is_that_of_the_package",
    "test_weights_are_recorded",
    "test_changed_weights_are_refused",
    "test_loading_leaves_the_process_alone",
    "test_answers_are_the_same_elsewhere",
}

# These watch a process; `test_breaches.py` breaks them.
OF_PROCESSES = {name for name in vars(ProcessRules) if name.startswith("test_")}


class Suite(Conformance):
    """The suite as a model package has it; not collected, since its name does not start so."""

    model = "fake"


def _rules() -> set[str]:
    return {name for name in dir(Conformance) if name.startswith("test_")}


def test_every_rule_is_broken_here() -> None:
    """No rule of the suite is without a Predictor that breaks it."""
    assert {breach.rule for breach in BREACHES} | OF_PACKAGES | OF_PROCESSES == _rules()


def test_every_rule_is_a_sentence() -> None:
    """The docstring of each test says its rule."""
    assert [
        name for name in _rules() if not (getattr(Suite, name).__doc__ or "").endswith(".")
    ] == []


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.rule.removeprefix("test_"))
def test_breach_fails(breach: Breach) -> None:
    """A Predictor that breaks a rule fails the test of that rule, with a message that says why."""
    with pytest.raises(pytest.fail.Exception) as failed:
        getattr(Suite(), breach.rule)(breach.predictor())
    assert str(failed.value).startswith(breach.message)


@pytest.mark.parametrize("rule", sorted(_rules() - OF_PACKAGES))
def test_conforming_predictor_passes(rule: str) -> None:
    """A Predictor that keeps all rules passes."""
    getattr(Suite(), rule)(made())


@pytest.mark.parametrize(
    "rule", ["test_prediction_is_as_long_as_the_payload", "test_batch_equals_one_by_one"]
)
def test_batches_are_judged_where_they_exist(rule: str) -> None:
    """A model that is not batchable is not judged by what holds for batches."""
    predictor = made(changed_class("run_predict", lambda _, xs: sum(xs), batchable=False))
    with pytest.raises(pytest.skip.Exception, match="the model is not batchable"):
        getattr(Suite(), rule)(predictor)


def test_floats_may_differ_within_the_declared_tolerance() -> None:
    """`float_tolerance` lets a batch differ by so much, and by no more."""
    predictor = made(changed_class("run_predict", lambda _, xs: [x + 1e-6 * len(xs) for x in xs]))
    suite = Suite()
    with pytest.raises(pytest.fail.Exception, match="a batch in order differs"):
        suite.test_batch_equals_one_by_one(predictor)
    suite.float_tolerance = 1e-5  # type: ignore[misc]  # a subclass would set it
    suite.test_batch_equals_one_by_one(predictor)


def test_labels_may_not_differ() -> None:
    """No tolerance makes two integers or two texts equal."""
    suite = Suite()
    suite.float_tolerance = 1e9  # type: ignore[misc]  # a subclass would set it
    for label in (len, lambda xs: f"of {len(xs)}"):
        kind = changed_class("run_predict", lambda _, xs, label=label: [label(xs)] * len(xs))
        with pytest.raises(pytest.fail.Exception, match="a batch in order differs"):
            suite.test_batch_equals_one_by_one(made(kind))

"""The self-test: it passes for a Predictor that works, and can fail."""

from collections.abc import Callable
from typing import Any

import pytest

from stevedore_core.errors import OutputNotJson, PredictorFailed, StevedoreError
from stevedore_core.predictor import Predictor
from stevedore_core.scores import Score
from stevedore_core.self_test import Verdict, run_self_test, score_examples
from stevedore_core.strict_json import Json

Step = Callable[[Any], Any]
ANY: Json = True


class TwoSteps(Predictor):
    """A Predictor made of one function for predict and one for score."""

    def convert_prediction_input(self, payload: Any) -> Any:
        """Hand on."""
        return payload

    def run_predict(self, X: Any) -> Any:  # noqa: N803
        """Take the first step."""
        return self.model[0](X)

    def convert_score_input(self, payload: Any) -> tuple[Any, Any]:
        """Take the payload for inputs and labels."""
        return payload, payload

    def run_scores(self, X: Any, y: Any) -> Any:  # noqa: N803, ARG002
        """Take the second step."""
        return self.model[1](X)


def same(value: Any) -> Any:
    """Change nothing."""
    return value


def half(_: Any) -> float:
    """Score one half."""
    return 0.5


def two_steps(predict: Step = same, score: Step = half) -> TwoSteps:
    """Return a Predictor called `m`."""
    return TwoSteps((predict, score), "m", [1], ANY, [2], ANY)


class Own(BaseException):
    """A model's own exception, outside Exception."""


class Unspeakable(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError

    __repr__ = __str__


def raising(error: BaseException) -> Step:
    """Return a step that raises."""

    def step(_: Any) -> Any:
        raise error

    return step


def test_a_predictor_that_works_passes() -> None:
    """The verdict has no detail."""
    verdict = run_self_test(two_steps())
    assert verdict == Verdict(reason="passed", detail="")
    assert verdict.passed


def test_both_examples_are_run_the_whole_way() -> None:
    """Predict gets the prediction example, score the labelled one, as if callers had sent them."""
    seen: list[Any] = []

    def see(value: Any) -> float:
        seen.append(value)
        return 1.0

    predictor = two_steps(see, see)
    run_self_test(predictor)
    assert seen == [[1], [2]]
    assert seen[0] is not predictor.test_input


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no"),
        KeyError("x"),
        ValueError("no"),
        NotImplementedError("no"),
        MemoryError(),
        RecursionError("no"),
        SystemExit(0),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(),
        Own("no"),
        StevedoreError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("where", [0, 1], ids=["predict", "score"])
def test_every_exception_fails_it(error: BaseException, where: int) -> None:
    """Whatever the Predictor raises, in predict or in score, is a verdict and never escapes."""
    steps: list[Step] = [same, half]
    steps[where] = raising(error)
    verdict = run_self_test(two_steps(*steps))
    assert not verdict.passed
    assert verdict.reason == "predictor-failed"
    assert verdict.detail.startswith("model `m` failed on this payload: ")
    assert type(error).__qualname__ in verdict.detail
    assert str(error) in verdict.detail


def test_an_exception_that_cannot_be_shown_fails_it() -> None:
    """Saying why never raises."""
    assert run_self_test(two_steps(raising(Unspeakable()))) == Verdict(
        reason="predictor-failed",
        detail="model `m` failed on this payload: "
        f"{__name__}.Unspeakable: <exception str() failed>",
    )


@pytest.mark.parametrize(
    "output",
    [object(), b"x", {1}, {1: 2}, (n for n in [1]), float("nan"), [float("inf")], "\ud800"],
    ids=lambda output: type(output).__name__,
)
def test_an_output_without_json_form_fails_it(output: object) -> None:
    """What no caller could read is not an answer."""
    verdict = run_self_test(two_steps(lambda _: output))
    assert not verdict.passed
    assert verdict.reason == "output-not-json"
    assert verdict.detail.startswith("the output ")


def test_an_output_that_no_strict_reader_takes_fails_it() -> None:
    """The answer is read back as a caller would read it."""

    def deep(_: Any) -> Json:
        value: Json = []
        for _ in range(100):
            value = [value]
        return value

    assert run_self_test(two_steps(deep)) == Verdict(
        reason="body-not-json", detail="the body is nested more than 64 levels deep"
    )


@pytest.mark.parametrize(
    "score", [None, True, "good", [0.5], {}, {"a": None}, {"a": {"value": 1}}, 10**400]
)
def test_a_score_of_another_form_fails_it(score: Json) -> None:
    """A score is a number, or several by name."""
    verdict = run_self_test(two_steps(score=lambda _: score))
    assert verdict.reason == "output-not-json"
    assert verdict.detail.startswith("`run_scores` returned ")


@pytest.mark.parametrize("score", [float("nan"), float("-inf"), {"a": float("nan")}])
def test_a_score_that_is_no_finite_number_fails_it(score: object) -> None:
    """NaN says nothing about quality."""
    assert run_self_test(two_steps(score=lambda _: score)) == Verdict(
        reason="output-not-json",
        detail="the output holds NaN or Infinity, which JSON cannot say",
    )


@pytest.mark.parametrize("score", [0.0, -5, {"loss": {"value": 1e9, "direction": "lower"}}])
def test_a_bad_score_passes(score: Json) -> None:
    """How good a model is, is not the self-test's business."""
    assert run_self_test(two_steps(score=lambda _: score)).passed


def test_an_example_changed_since_it_was_checked_fails_it() -> None:
    """The examples run through the schema each time."""
    predictor = TwoSteps((same, half), "m", [1], {"type": "array"}, [2], ANY)
    predictor.test_input = "text"
    assert run_self_test(predictor) == Verdict(
        reason="payload-invalid",
        detail='the payload does not fit the schema: ``: the value is not of type "array"',
    )


def test_a_failure_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log finds the traceback of the model's own error."""
    run_self_test(two_steps(raising(RuntimeError("the disk is full"))))
    [record] = caplog.records
    assert record.getMessage() == "self-test of model `m` failed"
    assert "RuntimeError: the disk is full" in caplog.text


def test_the_examples_are_scored() -> None:
    """The scores on the packaged labelled examples, as the model says them."""
    predictor = two_steps(score=lambda rows: {"first": rows[0], "n": len(rows)})
    assert score_examples(predictor) == (
        Score(name="first", value=2.0),
        Score(name="n", value=1.0),
    )


def test_scoring_the_examples_can_fail() -> None:
    """A model that raises, or returns no score, is told apart."""
    with pytest.raises(PredictorFailed):
        score_examples(two_steps(score=raising(ValueError("no"))))
    with pytest.raises(OutputNotJson):
        score_examples(two_steps(score=lambda _: "good"))

"""`Predictor`: the contract, as a class written for the original library meets it."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from stevedore_core import calls
from stevedore_core.errors import ExampleInvalid, PayloadInvalid, SchemaInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import Verdict, run_self_test
from stevedore_core.strict_json import Json

ROW: Json = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
ROWS: Json = {"type": "array", "minItems": 1, "items": ROW}
LABELLED_ROWS: Json = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["x", "y"],
        "properties": {"x": ROW, "y": {"type": "boolean"}},
    },
}
ROWS_EXAMPLE: Json = [[1, 2], [4, 3]]
LABELLED_EXAMPLE: Json = [{"x": [1, 2], "y": False}, {"x": [4, 3], "y": True}]


class Threshold:
    """A model with the methods of a fitted estimator."""

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Tell which rows descend. X: (n, 2)."""
        return np.asarray(X[:, 0] > X[:, 1])

    def score(self, X: np.ndarray, y: np.ndarray) -> np.float64:  # noqa: N803
        """Return the accuracy; higher is better."""
        return np.float64(np.mean(self.predict(X) == y))


class ThresholdPredictor(Predictor):
    """Written as for the original library: five methods, numpy inside, lists outside."""

    def convert_prediction_input(self, payload: Any) -> Any:
        """Return (n, 2) float64."""
        return np.asarray(payload, dtype=float)

    def run_predict(self, X: Any) -> Any:  # noqa: N803
        """Return (n,) bool."""
        return self.model.predict(X)

    def convert_output(self, result: Any) -> Any:
        """Return a list of n booleans."""
        return result.tolist()

    def convert_score_input(self, payload: Any) -> tuple[Any, Any]:
        """Return (n, 2) float64 and (n,) bool."""
        rows = [example["x"] for example in payload]
        return np.asarray(rows, dtype=float), np.asarray([example["y"] for example in payload])

    def run_scores(self, X: Any, y: Any) -> Any:  # noqa: N803
        """Return the accuracy."""
        return self.model.score(X, y)


def threshold_predictor() -> ThresholdPredictor:
    """Make one as the original's users do: six arguments in order, no version."""
    return ThresholdPredictor(
        Threshold(), "threshold", ROWS_EXAMPLE, ROWS, LABELLED_EXAMPLE, LABELLED_ROWS
    )


def test_a_class_of_the_originals_form_predicts_and_scores() -> None:
    """Only its import line differs from what was written for the original library."""
    predictor = threshold_predictor()
    assert predictor.predict([[1, 2], [4, 3]]) == [False, True]
    assert predictor.score(LABELLED_EXAMPLE) == 1.0
    assert calls.predict(predictor, b"[[1,2],[4,3]]") == b"[false,true]"
    assert calls.score(predictor, b'[{"x":[1,2],"y":true},{"x":[4,3],"y":true}]') == b"0.5"
    assert run_self_test(predictor) == Verdict(reason="passed")


def test_the_constructor_keeps_what_it_was_given() -> None:
    """The attributes have the names their users know; the version is `v1` unless given."""
    before = datetime.now(UTC).replace(microsecond=0)
    predictor = threshold_predictor()
    assert (predictor.name, predictor.version) == ("threshold", "v1")
    assert (predictor.p_schema, predictor.s_schema) == (ROWS, LABELLED_ROWS)
    assert predictor.test_input == ROWS_EXAMPLE
    assert predictor.score_test_input == LABELLED_EXAMPLE
    assert before <= datetime.fromisoformat(predictor.created) <= datetime.now(UTC)


def test_the_version_is_the_last_argument() -> None:
    """Given by position, as in the original, it is what callers see."""
    predictor = ThresholdPredictor(
        Threshold(), "threshold", ROWS_EXAMPLE, ROWS, LABELLED_EXAMPLE, LABELLED_ROWS, "2.1"
    )
    assert predictor.version == "2.1"


def test_an_output_without_conversion_is_handed_on() -> None:
    """`convert_output` may be left out."""
    raw = type("Raw", (ThresholdPredictor,), {"convert_output": Predictor.convert_output})
    predictor = raw(Threshold(), "raw", ROWS_EXAMPLE, ROWS, LABELLED_EXAMPLE, LABELLED_ROWS)
    assert calls.predict(predictor, b"[[4,3]]") == b"[true]"


def test_an_invalid_payload_never_reaches_the_model() -> None:
    """The schema stands before the first method, for predict and for score."""

    class Counting(ThresholdPredictor):
        calls = 0

        def convert_prediction_input(self, payload: Any) -> Any:
            Counting.calls += 1
            return super().convert_prediction_input(payload)

        def convert_score_input(self, payload: Any) -> Any:
            Counting.calls += 1
            return super().convert_score_input(payload)

    predictor = Counting(
        Threshold(), "counting", ROWS_EXAMPLE, ROWS, LABELLED_EXAMPLE, LABELLED_ROWS
    )
    with pytest.raises(PayloadInvalid) as predict:
        predictor.predict([[1]])
    with pytest.raises(PayloadInvalid) as score:
        predictor.score([{"x": [1, 2]}])
    assert [v.pointer for v in predict.value.violations] == ["/0"]
    assert [v.message for v in score.value.violations] == ['"y" is a required property']
    assert Counting.calls == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([["x", 1]], ROWS, LABELLED_EXAMPLE, LABELLED_ROWS),
            (
                "`threshold: test_input`: the payload does not fit the schema: "
                '`/0/0`: the value is not of type "number"'
            ),
        ),
        (
            (ROWS_EXAMPLE, ROWS, [], LABELLED_ROWS),
            (
                "`threshold: score_test_input`: the payload does not fit the schema: "
                "``: the value has less than 1 item"
            ),
        ),
    ],
)
def test_an_example_must_fit_its_schema(
    arguments: tuple[Json, Json, Json, Json], message: str
) -> None:
    """The message names the model and which example it is."""
    with pytest.raises(ExampleInvalid) as caught:
        ThresholdPredictor(Threshold(), "threshold", *arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("prediction", "score", "which"),
    [({"type": 1}, True, "prediction schema"), (True, {"type": 1}, "score schema")],
)
def test_a_schema_must_compile(prediction: Json, score: Json, which: str) -> None:
    """The message names the model and which schema it is."""
    with pytest.raises(SchemaInvalid) as caught:
        ThresholdPredictor(Threshold(), "threshold", 1, prediction, 1, score)
    assert str(caught.value).startswith(
        f"`threshold: {which}` is not a usable JSON Schema: at `/type`: "
    )


@pytest.mark.parametrize(
    "method", ["convert_prediction_input", "run_predict", "convert_score_input", "run_scores"]
)
def test_a_missing_method_fails_the_self_test_by_name(method: str) -> None:
    """A class that lacks a method can be made, and its self-test says which one."""
    lacking = type("Lacking", (ThresholdPredictor,), {method: getattr(Predictor, method)})
    predictor = lacking(Threshold(), "lacking", ROWS_EXAMPLE, ROWS, LABELLED_EXAMPLE, LABELLED_ROWS)
    assert run_self_test(predictor) == Verdict(
        reason="predictor-failed",
        detail="model `lacking` failed on this payload: "
        f"NotImplementedError: `Lacking` lacks the method `{method}`",
    )

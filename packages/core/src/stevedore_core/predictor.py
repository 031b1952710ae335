"""`Predictor`: the contract between a model and everything that serves or tests it.

Model packages derive from it; `calls` and `self_test` run it. A class needs four methods, most of
them a line; `convert_output` has a default.
"""

from abc import ABC
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from stevedore_core.errors import ExampleInvalid, PayloadInvalid
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json

if TYPE_CHECKING:
    from stevedore_core.model_package import ModelPackage

__all__ = ["Predictor"]


class Predictor(ABC):  # noqa: B024  # a missing method fails the self-test, as its users know it
    """A loaded model with its schemas and examples.

    A prediction runs `validate → convert_prediction_input → run_predict → convert_output`, a score
    `validate → convert_score_input → run_scores`. One call at a time.
    """

    batchable: ClassVar[bool] = False
    """True if the payload is an array of instances and the prediction an array of the same length,
    in which each element depends on its own instance only."""

    nan_as_null: ClassVar[bool] = False
    """True if NaN and Infinity in a prediction are written as `null`; else they fail the call."""

    def __init__(  # noqa: PLR0913, PLR0917  # the order its users know
        self,
        model: Any,
        name: str,
        test_input: Json,
        pred_schema: Json,
        score_test_input: Json,
        score_schema: Json,
        version: str = "v1",
    ) -> None:
        """Take a fitted model with what describes it.

        Args:
            model: Whatever the framework gives; only the methods below touch it.
            name: The name callers use.
            test_input: A payload that `pred_schema` admits: the example in the documentation and
                the self-test.
            pred_schema: The JSON Schema of a payload for `predict`.
            score_test_input: A payload that `score_schema` admits: labelled examples.
            score_schema: The JSON Schema of a payload for `score`.
            version: The version callers see.

        Raises:
            SchemaInvalid: A schema does not compile.
            ExampleInvalid: An example does not fit its schema.
        """
        self.model = model
        self.name = name
        self.version = version
        self.created = datetime.now(UTC).isoformat(timespec="seconds")
        self.p_schema = pred_schema
        self.s_schema = score_schema
        self.test_input = test_input
        self.score_test_input = score_test_input
        self._prediction_schema = Schema.compile(pred_schema, where=f"{name}: prediction schema")
        self._score_schema = Schema.compile(score_schema, where=f"{name}: score schema")
        _check_example(self._prediction_schema, test_input, f"{name}: test_input")
        _check_example(self._score_schema, score_test_input, f"{name}: score_test_input")

    @classmethod
    def from_package(cls, package: "ModelPackage", model: Any) -> Self:
        """Make the Predictor of an installed model package, whose files say all but the model."""
        predictor = cls(
            model,
            package.name,
            package.document("examples/predict.json"),
            package.document("predict.schema.json"),
            package.document("examples/score.json"),
            package.document("score.schema.json"),
            package.version,
        )
        predictor.created = package.created
        return predictor

    def convert_prediction_input(self, payload: Any) -> Any:
        """Turn a valid payload into what `run_predict` takes."""
        raise NotImplementedError(_missing(self, "convert_prediction_input"))

    def run_predict(self, X: Any) -> Any:  # noqa: N803  # the name its users know
        """Run the model."""
        raise NotImplementedError(_missing(self, "run_predict"))

    def convert_output(self, result: Any) -> Any:
        """Turn what `run_predict` returned into JSON values or numpy arrays; by default as is."""
        return result

    def convert_score_input(self, payload: Any) -> tuple[Any, Any]:
        """Turn valid labelled examples into inputs and labels."""
        raise NotImplementedError(_missing(self, "convert_score_input"))

    def run_scores(self, X: Any, y: Any) -> Any:  # noqa: N803  # the name its users know
        """Say how good the model is on labelled examples.

        Returns:
            A number, where higher is better; or `{name: number}`; or
            `{name: {"value": number, "direction": "higher" | "lower"}}`.
        """
        raise NotImplementedError(_missing(self, "run_scores"))

    def predict(self, payload: Json) -> Any:
        """Return the prediction for `payload`.

        Raises:
            PayloadInvalid: The payload breaks the prediction schema.
        """
        self.check_payload(payload)
        return self.predict_checked(payload)

    def read_payload(self, body: bytes) -> Json:
        """Return the payload that a body holds, checked.

        Raises:
            BodyNotJson: The body is not strict JSON.
            PayloadInvalid: The payload breaks the prediction schema.
        """
        return self._prediction_schema.read(body)

    def check_payload(self, payload: Json) -> None:
        """Do nothing if `payload` is one for `predict`.

        Raises:
            PayloadInvalid: The payload breaks the prediction schema.
        """
        self._prediction_schema.check(payload)

    def predict_checked(self, payload: Json) -> Any:
        """Return the prediction for a payload that was checked."""
        return self.convert_output(self.run_predict(self.convert_prediction_input(payload)))

    def score(self, payload: Json) -> Any:
        """Return the score on labelled examples.

        Raises:
            PayloadInvalid: The payload breaks the score schema.
        """
        self._score_schema.check(payload)
        return self.run_scores(*self.convert_score_input(payload))


def _missing(predictor: Predictor, method: str) -> str:
    return f"`{type(predictor).__name__}` lacks the method `{method}`"


def _check_example(schema: Schema, example: Json, where: str) -> None:
    try:
        schema.check(example)
    except PayloadInvalid as error:
        raise ExampleInvalid(f"`{where}`: {error}") from None

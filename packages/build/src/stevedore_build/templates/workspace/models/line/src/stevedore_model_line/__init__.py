"""The model `line`: predicts y from x. Served by way of its entry point, `load`."""

import json

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["Line", "load"]


class Line(Predictor):
    """A line, for n numbers. `model` holds its `slope` and its `intercept`."""

    batchable = True

    def convert_prediction_input(self, payload: list[float]) -> list[float]:
        """Return x, n of them."""
        return payload

    def run_predict(self, X: list[float]) -> list[float]:  # noqa: N803 - as in core
        """Return y, n of them."""
        return [self.model["slope"] * x + self.model["intercept"] for x in X]

    def convert_score_input(
        self, payload: list[dict[str, float]]
    ) -> tuple[list[float], list[float]]:
        """Return x and y of n points."""
        return [point["x"] for point in payload], [point["y"] for point in payload]

    def run_scores(self, X: list[float], y: list[float]) -> dict[str, object]:  # noqa: N803 - as above
        """Return the mean distance of a prediction from y, 0 or more."""
        apart = [abs(found - true) for found, true in zip(self.run_predict(X), y, strict=True)]
        return {"mae": {"value": sum(apart) / len(apart), "direction": "lower"}}


def load() -> Line:
    """Load the weights, two numbers in JSON."""
    package = ModelPackage(__name__)
    return Line.from_package(package, json.loads(package.weights("line.json").read_text("utf-8")))

"""The model `iris`: names the species of an iris. Served by way of its entry point, `load`."""

from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["Iris", "load"]


class Iris(Predictor):
    """A logistic regression on n flowers with d = 4 lengths in cm, float64 of shape (n, d).

    In this order: sepal length, sepal width, petal length, petal width.
    """

    batchable = True

    def convert_prediction_input(self, payload: list[list[float]]) -> NDArray[np.float64]:
        """Return flowers, (n, d), cm."""
        return np.array(payload, dtype=np.float64)

    def run_predict(self, X: NDArray[np.float64]) -> NDArray[np.str_]:  # noqa: N803  # as in core
        """Return species, (n,)."""
        species: NDArray[np.str_] = self.model.predict(X)
        return species

    def convert_output(self, result: NDArray[np.str_]) -> list[str]:
        """Return species as a list of n names."""
        names: list[str] = result.tolist()
        return names

    def convert_score_input(
        self, payload: list[dict[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
        """Return flowers, (n, d), cm, and the species they are, (n,)."""
        flowers = self.convert_prediction_input([row["instance"] for row in payload])
        return flowers, np.array([row["label"] for row in payload])

    def run_scores(
        self,
        X: NDArray[np.float64],  # noqa: N803  # as in core
        y: NDArray[np.str_],
    ) -> dict[str, dict[str, float | str]]:
        """Return the share of flowers named rightly, 0 to 1, and how unsure the model was of them.

        The latter is the log loss, 0 or more: the mean of -ln of the probability that the model
        gave to the species that a flower is.
        """
        accuracy = float(np.mean(self.run_predict(X) == y))
        columns = np.searchsorted(self.model.classes_, y)
        given = self.model.predict_proba(X)[np.arange(len(y)), columns]
        loss = -float(np.mean(np.log(np.maximum(given, np.finfo(np.float64).tiny))))
        return {
            "accuracy": {"value": accuracy, "direction": "higher"},
            "log_loss": {"value": loss, "direction": "lower"},
        }


def load() -> Iris:
    """Load the weights, which hold no type that skops does not trust by itself."""
    package = ModelPackage(__name__)
    model = skops.io.load(package.weights("model.skops"), trusted=[])
    return Iris.from_package(package, model)

"""The model `logistic`: names the species of an iris. A worker loads it by its entry point."""

from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["Logistic", "load"]


class Logistic(Predictor):
    """A logistic regression on n flowers with d = 4 lengths in cm, float64 of shape (n, d)."""

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

    def run_scores(self, X: NDArray[np.float64], y: NDArray[np.str_]) -> float:  # noqa: N803  # as in core
        """Return the share of flowers named rightly, 0 to 1."""
        return float(np.mean(self.run_predict(X) == y))


def load() -> Logistic:
    """Load the weights, which hold no type that skops does not trust by itself."""
    package = ModelPackage(__name__)
    model = skops.io.load(package.weights("model.skops"), trusted=[])
    return Logistic.from_package(package, model)

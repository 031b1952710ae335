"""The model `forest`: tells benign tumours from others. A worker loads it by its entry point."""

from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["Forest", "load"]

TRUSTED = ["sklearn.tree._tree.Tree"]
"""An array of nodes; skops asks for consent to each type made in C."""


class Forest(Predictor):
    """A random forest of 100 trees on n tumours with d = 30 features, float64 of shape (n, d)."""

    batchable = True

    def convert_prediction_input(self, payload: list[list[float]]) -> NDArray[np.float64]:
        """Return tumours, (n, d)."""
        return np.array(payload, dtype=np.float64)

    def run_predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803  # as in core
        """Return the probability that a tumour is benign, (n,), 0 to 1."""
        benign: NDArray[np.float64] = self.model.predict_proba(X)[:, 1]
        return benign

    def convert_output(self, result: NDArray[np.float64]) -> list[float]:
        """Return probabilities as a list of n numbers."""
        probabilities: list[float] = result.tolist()
        return probabilities

    def convert_score_input(
        self, payload: list[dict[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return tumours, (n, d), and whether they are benign, (n,), 0 or 1."""
        tumours = self.convert_prediction_input([row["instance"] for row in payload])
        return tumours, np.array([row["label"] for row in payload])

    def run_scores(self, X: NDArray[np.float64], y: NDArray[np.int64]) -> float:  # noqa: N803  # as in core
        """Return the share of tumours on whose side of one half the probability is, 0 to 1."""
        return float(np.mean((self.run_predict(X) > 0.5) == y))  # noqa: PLR2004  # as likely as not


def load() -> Forest:
    """Load the weights."""
    package = ModelPackage(__name__)
    model = skops.io.load(package.weights("model.skops"), trusted=TRUSTED)
    return Forest.from_package(package, model)

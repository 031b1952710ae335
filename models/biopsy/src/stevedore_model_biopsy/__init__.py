"""The model `biopsy`: whether a tumour is malignant. Served by way of its entry point, `load`."""

from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["Biopsy", "load"]

EVEN = 0.5
"""The probability at which a tumour is as likely malignant as not."""


class Biopsy(Predictor):
    """Boosted trees on n tumours with d = 30 measurements, float64 of shape (n, d).

    The schema tells their order; the trees compare them as float32.
    """

    batchable = True

    def convert_prediction_input(self, payload: list[list[float]]) -> NDArray[np.float64]:
        """Return tumours, (n, d)."""
        return np.array(payload, dtype=np.float64)

    def run_predict(self, X: NDArray[np.float64]) -> NDArray[np.float32]:  # noqa: N803  # as in core
        """Return the probability that each is malignant, (n,), 0 to 1."""
        probabilities: NDArray[np.float32] = self.model.inplace_predict(X)
        return probabilities

    def convert_output(self, result: NDArray[np.float32]) -> list[float]:
        """Return probabilities as a list of n numbers."""
        probabilities: list[float] = result.tolist()
        return probabilities

    def convert_score_input(
        self, payload: list[dict[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return tumours, (n, d), and which of them are malignant, (n,)."""
        tumours = self.convert_prediction_input([row["instance"] for row in payload])
        return tumours, np.array([row["label"] == "malignant" for row in payload])

    def run_scores(
        self,
        X: NDArray[np.float64],  # noqa: N803  # as in core
        y: NDArray[np.bool_],
    ) -> dict[str, dict[str, float | str]]:
        """Return the share of tumours that are more likely than not what they are, and the loss.

        The latter is the log loss, 0 or more: the mean of -ln of the probability given to what a
        tumour is.
        """
        malignant = self.run_predict(X).astype(np.float64)
        given = np.where(y, malignant, 1 - malignant)
        loss = -float(np.mean(np.log(np.maximum(given, np.finfo(np.float64).tiny))))
        return {
            "accuracy": {"value": float(np.mean(given > EVEN)), "direction": "higher"},
            "log_loss": {"value": loss, "direction": "lower"},
        }


def load() -> Biopsy:
    """Load the trees, to be run in one thread."""
    package = ModelPackage(__name__)
    trees = xgb.Booster({"nthread": 1}, model_file=package.weights("model.ubj"))
    return Biopsy.from_package(package, trees)

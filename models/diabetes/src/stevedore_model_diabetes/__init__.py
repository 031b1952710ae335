"""The model `diabetes`: predicts how it progresses. Served by way of its entry point, `load`."""

from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["COLUMNS", "Diabetes", "load"]

COLUMNS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
"""The measurements in the order of training."""


class Diabetes(Predictor):
    """Boosted trees on n patients with d = 10 named measurements, float64 of shape (n, d).

    Measurements and progression are in the units of the source; the schema bounds them.
    """

    batchable = True

    def convert_prediction_input(self, payload: list[dict[str, float]]) -> NDArray[np.float64]:
        """Return patients, (n, d), whatever the order of their keys."""
        return np.array([[row[column] for column in COLUMNS] for row in payload], dtype=np.float64)

    def run_predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803  # as in core
        """Return progression, (n,)."""
        progression: NDArray[np.float64] = self.model.predict(X, num_threads=1)
        return progression

    def convert_output(self, result: NDArray[np.float64]) -> list[float]:
        """Return progression as a list of n numbers."""
        progression: list[float] = result.tolist()
        return progression

    def convert_score_input(
        self, payload: list[dict[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return patients, (n, d), and the progression observed, (n,)."""
        patients = self.convert_prediction_input([row["instance"] for row in payload])
        return patients, np.array([row["label"] for row in payload], dtype=np.float64)

    def run_scores(
        self,
        X: NDArray[np.float64],  # noqa: N803  # as in core
        y: NDArray[np.float64],
    ) -> dict[str, dict[str, float | str]]:
        """Return the mean absolute error, and the share of the variance explained (1 is perfect).

        Where all labels are equal there is no variance: 1 if all are hit, else 0.
        """
        errors = self.run_predict(X) - y
        missed, spread = float(np.sum(errors**2)), float(np.sum((y - y.mean()) ** 2))
        explained = 1 - missed / spread if spread else float(missed == 0)
        return {
            "mae": {"value": float(np.mean(np.abs(errors))), "direction": "lower"},
            "r2": {"value": explained, "direction": "higher"},
        }


def load() -> Diabetes:
    """Load the trees."""
    package = ModelPackage(__name__)
    return Diabetes.from_package(package, lgb.Booster(model_file=package.weights("model.txt")))

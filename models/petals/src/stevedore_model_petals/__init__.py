"""The model `petals`: predicts the width of a petal. Served by way of its entry point, `load`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from statsmodels.regression.linear_model import OLS, RegressionResults

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["LENGTHS", "SPECIES", "Petals", "design", "load", "rebuilt"]

LENGTHS = ("sepal_length", "sepal_width", "petal_length")
SPECIES = ("setosa", "versicolor", "virginica")
"""The first is what the others are compared with."""
OUTSIDE = 0.05
"""The share of flowers whose petals are to be outside the interval."""


class Petals(Predictor):
    """A linear regression on n irises: three lengths in cm and the species, by name.

    It sees d = 6 columns, float64 of shape (n, d): 1, the lengths, is versicolor, is virginica.
    """

    batchable = True

    def convert_prediction_input(self, payload: list[dict[str, Any]]) -> NDArray[np.float64]:
        """Return columns, (n, d), whatever the order of the keys."""
        return design(payload)

    def run_predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803  # as in core
        """Return the expected width, the lowest and the highest, (n, 3), cm."""
        prediction = self.model.get_prediction(X)
        bounds = prediction.conf_int(obs=True, alpha=OUTSIDE)
        return np.column_stack([prediction.predicted_mean, bounds])

    def convert_output(self, result: NDArray[np.float64]) -> list[dict[str, float]]:
        """Return widths as a list of n objects."""
        names = ("petal_width", "lowest", "highest")
        return [dict(zip(names, row, strict=True)) for row in result.tolist()]

    def convert_score_input(
        self, payload: list[dict[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return columns, (n, d), and the widths measured, (n,), cm."""
        flowers = self.convert_prediction_input([row["instance"] for row in payload])
        return flowers, np.array([row["label"] for row in payload], dtype=np.float64)

    def run_scores(
        self,
        X: NDArray[np.float64],  # noqa: N803  # as in core
        y: NDArray[np.float64],
    ) -> dict[str, dict[str, float | str]]:
        """Return the mean absolute error, cm, and the score of the intervals, cm.

        The latter is the mean width of an interval, and 2 / 0.05 times the distance to it where the
        width measured is outside.
        """
        expected, lowest, highest = self.run_predict(X).T
        outside = np.maximum(lowest - y, 0) + np.maximum(y - highest, 0)
        intervals = highest - lowest + 2 / OUTSIDE * outside
        return {
            "mae": {"value": float(np.mean(np.abs(expected - y))), "direction": "lower"},
            "interval_score": {"value": float(np.mean(intervals)), "direction": "lower"},
        }


def design(flowers: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Return the columns that the regression sees, (n, d). `train.py` calls it, too."""
    return np.array(
        [
            [1, *(flower[name] for name in LENGTHS)]
            + [flower["species"] == species for species in SPECIES[1:]]
            for flower in flowers
        ],
        dtype=np.float64,
    )


def rebuilt(kept: Mapping[str, NDArray[np.float64]]) -> RegressionResults:
    """Return the results of a regression made anew, as far as they predict.

    `kept` has the `coefficients`, (d,), their `normalized_covariance`, (d, d), and the `variance`
    and `degrees_of_freedom` of what is left.
    """
    columns = len(kept["coefficients"])
    model = OLS(np.zeros(1), np.zeros((1, columns)))  # what it was fitted on is not needed again
    model.df_resid = float(kept["degrees_of_freedom"])
    results = RegressionResults(model, kept["coefficients"], kept["normalized_covariance"])
    results.scale = float(kept["variance"])  # else it would be computed from what is not there
    return results


def load() -> Petals:
    """Load what the regression came to; a file that holds a pickled array is refused."""
    package = ModelPackage(__name__)
    with np.load(package.weights("regression.npz"), allow_pickle=False) as kept:
        return Petals.from_package(package, rebuilt(kept))

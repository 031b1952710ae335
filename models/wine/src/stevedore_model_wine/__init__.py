"""The model `wine`: names the grape of a wine. Served by way of its entry point, `load`.

It is written for NumPy 1: it calls `np.asfarray`, which NumPy 2 no longer has.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["Wine", "load"]


class Wine(Predictor):
    """The nearest of k = 3 centres, for n wines with d = 13 measurements, float64 of shape (n, d).

    `model` holds `mean` and `scale` of the measurements, both (d,), and the standardised `centres`
    of the `grapes`, (k, d) and (k,).
    """

    batchable = True

    def convert_prediction_input(self, payload: list[list[float]]) -> NDArray[np.float64]:
        """Return wines, (n, d)."""
        wines: NDArray[np.float64]
        wines = np.asfarray(payload)  # type: ignore[attr-defined]  # noqa: NPY201  # see above
        return wines

    def run_predict(self, X: NDArray[np.float64]) -> NDArray[np.str_]:  # noqa: N803  # as in core
        """Return grapes, (n,)."""
        standardised = (X - self.model["mean"]) / self.model["scale"]
        apart = standardised[:, None, :] - self.model["centres"][None, :, :]
        nearest: NDArray[np.str_] = self.model["grapes"][np.sum(apart**2, axis=2).argmin(axis=1)]
        return nearest

    def convert_output(self, result: NDArray[np.str_]) -> list[str]:
        """Return grapes as a list of n names."""
        names: list[str] = result.tolist()
        return names

    def convert_score_input(
        self, payload: list[dict[str, Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
        """Return wines, (n, d), and the grapes they are of, (n,)."""
        wines = self.convert_prediction_input([row["instance"] for row in payload])
        return wines, np.array([row["label"] for row in payload])

    def run_scores(
        self,
        X: NDArray[np.float64],  # noqa: N803  # as in core
        y: NDArray[np.str_],
    ) -> dict[str, dict[str, float | str]]:
        """Return the share of wines named rightly, 0 to 1."""
        accuracy = float(np.mean(self.run_predict(X) == y))
        return {"accuracy": {"value": accuracy, "direction": "higher"}}


def load() -> Wine:
    """Load the centres; the file can hold arrays only."""
    package = ModelPackage(__name__)
    with np.load(package.weights("centres.npz"), allow_pickle=False) as file:
        return Wine.from_package(package, {name: file[name] for name in file.files})

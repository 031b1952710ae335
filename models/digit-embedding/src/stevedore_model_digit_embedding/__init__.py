"""The model `digit-embedding`: ten numbers for an image. Served by its entry point, `load`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

__all__ = ["DigitEmbedding", "Projection", "load"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Projection:
    """A mean image, (d,), and k orthogonal directions of length 1 away from it, (k, d)."""

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]


class DigitEmbedding(Predictor):
    """The first k = 10 principal components of n images of d = 64 pixels, float64, (n, d).

    Pixels count ink from 0 to 16, and so do the components.
    """

    batchable = True

    def convert_prediction_input(self, payload: list[list[list[int]]]) -> NDArray[np.float64]:
        """Return images, (n, d), 0 to 16."""
        return np.array(payload, dtype=np.float64).reshape(len(payload), 64)

    def run_predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: N803  # as in core
        """Return components, (n, k), the most telling first."""
        components: NDArray[np.float64] = (X - self.model.mean) @ self.model.directions.T
        return components

    def convert_output(self, result: NDArray[np.float64]) -> list[list[float]]:
        """Return components as a list of n lists of k numbers."""
        components: list[list[float]] = result.tolist()
        return components

    def convert_score_input(
        self, payload: list[list[list[int]]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return images, (n, d), twice: what comes back is to be what went in."""
        images = self.convert_prediction_input(payload)
        return images, images

    def run_scores(
        self,
        X: NDArray[np.float64],  # noqa: N803  # as in core
        y: NDArray[np.float64],
    ) -> dict[str, dict[str, float | str]]:
        """Return the share of the variance that is kept, at most 1, and the error of a pixel.

        The latter is the mean distance, in ink, between a pixel and what the components make of it.
        """
        back = self.run_predict(X) @ self.model.directions + self.model.mean
        missed, spread = np.sum((back - y) ** 2), np.sum((y - self.model.mean) ** 2)
        return {
            "variance_kept": {"value": float(1 - missed / spread), "direction": "higher"},
            "pixel_error": {"value": float(np.mean(np.abs(back - y))), "direction": "lower"},
        }


def load() -> DigitEmbedding:
    """Load the mean and the directions; a file that holds a pickled array is refused."""
    package = ModelPackage(__name__)
    with np.load(package.weights("projection.npz"), allow_pickle=False) as arrays:
        projection = Projection(mean=arrays["mean"], directions=arrays["directions"])
    return DigitEmbedding.from_package(package, projection)

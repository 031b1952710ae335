"""The model `digits`: reads a handwritten digit. Served by way of its entry point, `load`."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

# ONNX Runtime reads this once, when it is imported; without it, it reports to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

__all__ = ["Digits", "load"]


class Digits(Predictor):
    """A neural network on n images of d = 64 pixels, float32 of shape (n, d), ink from 0 to 1."""

    batchable = True

    def convert_prediction_input(self, payload: list[list[list[int]]]) -> NDArray[np.float32]:
        """Return images, (n, d), 0 to 1, from pixels that count ink from 0 to 16."""
        return np.array(payload, dtype=np.float32).reshape(len(payload), 64) / np.float32(16)

    def run_predict(self, X: NDArray[np.float32]) -> NDArray[np.int64]:  # noqa: N803  # as in core
        """Return digits, (n,), 0 to 9."""
        (digits,) = self.model.run(["label"], {"pixels": X})
        read: NDArray[np.int64] = digits
        return read

    def convert_output(self, result: NDArray[np.int64]) -> list[int]:
        """Return digits as a list of n integers."""
        digits: list[int] = result.tolist()
        return digits

    def convert_score_input(
        self, payload: list[dict[str, Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return images, (n, d), and the digits they show, (n,)."""
        images = self.convert_prediction_input([row["instance"] for row in payload])
        return images, np.array([row["label"] for row in payload], dtype=np.int64)

    def run_scores(
        self,
        X: NDArray[np.float32],  # noqa: N803  # as in core
        y: NDArray[np.int64],
    ) -> dict[str, dict[str, float | str]]:
        """Return the share of images read rightly, 0 to 1."""
        accuracy = float(np.mean(self.run_predict(X) == y))
        return {"accuracy": {"value": accuracy, "direction": "higher"}}


def load() -> Digits:
    """Load the network into a session that computes in the calling thread."""
    package = ModelPackage(__name__)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(
        package.weights("model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return Digits.from_package(package, session)

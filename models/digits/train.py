# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml-py-stevedore-core",
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "scikit-learn==1.9.1",
#     "scipy==1.17.1",
#     "skl2onnx==1.20.0",
#     "threadpoolctl==3.8.0",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# ///
"""Trains `digits` and writes its weights and examples into the package.

People run it: `uv run models/digits/train.py`. On one machine two runs leave the same weights.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_digits"
HELD_OUT = 100
SEED = 0


def train(package: Path) -> None:
    """Fit on all but the held-out images and write `weights/` and `examples/` of `package`."""
    data = load_digits()
    seen, unseen, seen_digits, unseen_digits = train_test_split(
        data.images, data.target, test_size=HELD_OUT, stratify=data.target, random_state=SEED
    )
    model = MLPClassifier((64,), alpha=1e-3, max_iter=400, random_state=SEED)
    with threadpool_limits(1):  # sums over threads come out differently from run to run
        model.fit(_flattened(seen), seen_digits)
    network = to_onnx(
        model,
        name="digits",
        initial_types=[("pixels", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset=15,
    )
    network.opset_import.sort(key=lambda opset: opset.domain)  # their order differs between runs
    (package / "weights" / "model.onnx").write_bytes(network.SerializeToString(deterministic=True))
    record_weights(package / "weights", ["model.onnx"], created=datetime.now(UTC))

    labelled = [
        {"instance": image, "label": digit}
        for image, digit in zip(unseen.astype(int).tolist(), unseen_digits.tolist(), strict=True)
    ]
    _write_rows(package / "examples" / "score.json", labelled)
    _write_rows(package / "examples" / "predict.json", [row["instance"] for row in labelled[:5]])
    accuracy = model.score(_flattened(unseen), unseen_digits)
    print(f"accuracy on {HELD_OUT} held-out images: {accuracy:.4f}")


def _flattened(images: NDArray[np.float64]) -> NDArray[np.float64]:
    return images.reshape(len(images), 64) / 16


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

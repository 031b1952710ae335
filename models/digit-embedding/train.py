# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml-py-stevedore-core",
#     "numpy==2.4.6",
#     "scikit-learn==1.9.1",
#     "scipy==1.17.1",
#     "threadpoolctl==3.8.0",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# ///
"""Trains `digit-embedding` and writes its weights and examples into the package.

People run it: `uv run models/digit-embedding/train.py`. On one machine two runs leave the same
weights.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_digit_embedding"
COMPONENTS = 10
HELD_OUT = 100
SEED = 0


def train(package: Path) -> None:
    """Fit on all but the held-out images and write `weights/` and `examples/` of `package`."""
    data = load_digits()
    seen, unseen = train_test_split(
        data.images, test_size=HELD_OUT, stratify=data.target, random_state=SEED
    )
    images, held_out = seen.reshape(len(seen), 64), unseen.reshape(len(unseen), 64)
    mean = images.mean(axis=0)
    with threadpool_limits(1):  # sums over threads come out differently from run to run
        _, _, found = np.linalg.svd(images - mean, full_matrices=False)
    directions = found[:COMPONENTS]
    # Which way a direction points is chance: here its largest entry is above zero.
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(COMPONENTS), largest])[:, None]
    np.savez(package / "weights" / "projection.npz", mean=mean, directions=directions)
    record_weights(package / "weights", ["projection.npz"], created=datetime.now(UTC))

    rows = unseen.astype(int).tolist()
    _write_rows(package / "examples" / "score.json", rows)
    _write_rows(package / "examples" / "predict.json", rows[:5])
    apart = held_out - mean
    missed = apart - apart @ directions.T @ directions
    print(f"on {HELD_OUT} held-out images:")
    print(f"  variance kept {1 - np.sum(missed**2) / np.sum(apart**2):.4f}")
    print(f"  error of a pixel {np.mean(np.abs(missed)):.4f}")


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml-py-stevedore-core",
#     "numpy==1.26.4",
#     "scikit-learn==1.5.2",
#     "scipy==1.13.1",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# ///
"""Trains `wine` and writes its weights and examples into the package.

People run it: `uv run models/wine/train.py`. On one machine two runs leave the same weights.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_wine"
GRAPES = np.array(["grape-1", "grape-2", "grape-3"])
"""The data does not say more of them than that they are three."""
HELD_OUT = 54
SEED = 0


def train(package: Path) -> None:
    """Fit on all but the held-out wines and write `weights/` and `examples/` of `package`."""
    data = load_wine()
    grapes = GRAPES[data.target]
    seen, unseen, seen_grapes, unseen_grapes = train_test_split(
        data.data, grapes, test_size=HELD_OUT, stratify=grapes, random_state=SEED
    )
    mean, scale = seen.mean(axis=0), seen.std(axis=0)
    standardised = (seen - mean) / scale
    centres = np.stack([standardised[seen_grapes == grape].mean(axis=0) for grape in GRAPES])
    (package / "weights").mkdir(exist_ok=True)
    np.savez(
        package / "weights" / "centres.npz", mean=mean, scale=scale, centres=centres, grapes=GRAPES
    )
    record_weights(package / "weights", ["centres.npz"], created=datetime.now(UTC))

    labelled = [
        {"instance": wine, "label": label}
        for wine, label in zip(unseen.tolist(), unseen_grapes.tolist(), strict=True)
    ]
    _write_rows(package / "examples" / "score.json", labelled)
    _write_rows(package / "examples" / "predict.json", [row["instance"] for row in labelled[:5]])
    apart = ((unseen - mean) / scale)[:, None, :] - centres[None, :, :]
    found = GRAPES[np.sum(apart**2, axis=2).argmin(axis=1)]
    print(f"accuracy on {HELD_OUT} held-out wines: {np.mean(found == unseen_grapes):.4f}")
    print(f"highest measurement: {data.data.max()}")


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

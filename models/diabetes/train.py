# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "lightgbm==4.7.0",
#     "ml-py-stevedore-core",
#     "numpy==2.4.6",
#     "scikit-learn==1.9.1",
#     "scipy==1.17.1",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# ///
"""Trains `diabetes` and writes its weights and examples into the package.

People run it: `uv run models/diabetes/train.py`. On one machine two runs leave the same weights.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import lightgbm as lgb
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_diabetes"
HELD_OUT = 100
SEED = 0
ROUNDS = 150
PARAMETERS = {
    "objective": "regression",
    "num_leaves": 3,
    "learning_rate": 0.05,
    "min_data_in_leaf": 15,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": SEED,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def train(package: Path) -> None:
    """Fit on all but the held-out patients and write `weights/` and `examples/` of `package`."""
    data = load_diabetes(scaled=False)
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        data.data, data.target, test_size=HELD_OUT, random_state=SEED
    )
    dataset = lgb.Dataset(seen, seen_labels, feature_name=list(data.feature_names))
    model = lgb.train(PARAMETERS, dataset, num_boost_round=ROUNDS)
    (package / "weights" / "model.txt").write_text(model.model_to_string(), "utf-8")
    record_weights(package / "weights", ["model.txt"], created=datetime.now(UTC))

    labelled = [
        {"instance": _named(data.feature_names, patient), "label": int(label)}
        for patient, label in zip(unseen.tolist(), unseen_labels.tolist(), strict=True)
    ]
    _write_rows(package / "examples" / "score.json", labelled)
    _write_rows(package / "examples" / "predict.json", [row["instance"] for row in labelled[:5]])
    error = np.abs(model.predict(unseen) - unseen_labels).mean()
    naive = np.abs(np.median(seen_labels) - unseen_labels).mean()
    print(f"mae on {HELD_OUT} held-out patients: {error:.4f} (always the median: {naive:.4f})")


def _named(names: list[str], numbers: list[float]) -> dict[str, float]:
    return {
        name: int(number) if number.is_integer() else number
        for name, number in zip(names, numbers, strict=True)
    }


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

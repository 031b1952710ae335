# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml-py-stevedore-core",
#     "numpy==2.4.6",
#     "scikit-learn==1.9.1",
#     "scipy==1.17.1",
#     "xgboost-cpu==3.2.0",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# ///
"""Trains `biopsy` and writes its weights and examples into the package.

People run it: `uv run models/biopsy/train.py`. On one machine two runs leave the same weights.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xgboost as xgb
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_biopsy"
HELD_OUT = 114
SEED = 0
MOST_ROUNDS = 400
PARAMETERS = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "max_depth": 3,
    "eta": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "seed": SEED,
    "nthread": 1,
}


def train(package: Path) -> None:
    """Fit on all but the held-out tumours and write `weights/` and `examples/` of `package`."""
    data = load_breast_cancer()
    malignant = data.target == list(data.target_names).index("malignant")
    seen, unseen, seen_malignant, unseen_malignant = train_test_split(
        data.data, malignant, test_size=HELD_OUT, stratify=malignant, random_state=SEED
    )
    tumours = xgb.DMatrix(seen, seen_malignant)
    losses = xgb.cv(
        PARAMETERS, tumours, MOST_ROUNDS, nfold=5, stratified=True, seed=SEED, as_pandas=False
    )["test-logloss-mean"]
    rounds = int(np.argmin(losses)) + 1  # they never saw a held-out tumour
    model = xgb.train(PARAMETERS, tumours, rounds)
    (package / "weights" / "model.ubj").write_bytes(model.save_raw("ubj"))
    record_weights(package / "weights", ["model.ubj"], created=datetime.now(UTC))

    labelled = [
        {"instance": tumour, "label": "malignant" if is_malignant else "benign"}
        for tumour, is_malignant in zip(unseen.tolist(), unseen_malignant, strict=True)
    ]
    _write_rows(package / "examples" / "score.json", labelled)
    _write_rows(package / "examples" / "predict.json", [row["instance"] for row in labelled[:5]])
    found = model.inplace_predict(unseen).astype(np.float64)
    print(f"{rounds} rounds, on {HELD_OUT} held-out tumours:")
    print(f"  accuracy {np.mean(found.round() == unseen_malignant):.4f}")
    print(f"  log loss {log_loss(unseen_malignant, found):.4f}")


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml-py-stevedore-core",
#     "numpy==2.4.6",
#     "pandas==3.1.1",
#     "scikit-learn==1.9.1",
#     "scipy==1.17.1",
#     "statsmodels==0.15.0",
#     "stevedore-model-petals",
#     "threadpoolctl==3.8.0",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# stevedore-model-petals = { path = "." }
# ///
"""Trains `petals` and writes its weights and examples into the package.

People run it: `uv run models/petals/train.py`. On one machine two runs leave the same weights.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from statsmodels.regression.linear_model import OLS
from threadpoolctl import threadpool_limits

from stevedore_core.weights import record_weights
from stevedore_model_petals import LENGTHS, SPECIES, design

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_petals"
HELD_OUT = 45
SEED = 0


def train(package: Path) -> None:
    """Fit on all but the held-out flowers and write `weights/` and `examples/` of `package`."""
    data = load_iris()
    flowers = [
        {
            "instance": {**dict(zip(LENGTHS, lengths, strict=True)), "species": SPECIES[number]},
            "label": width,
        }
        for (*lengths, width), number in zip(data.data.tolist(), data.target, strict=True)
    ]
    seen, unseen = train_test_split(
        flowers, test_size=HELD_OUT, stratify=data.target, random_state=SEED
    )
    with threadpool_limits(1):  # sums over threads come out differently from run to run
        fitted = OLS(
            np.array([flower["label"] for flower in seen]),
            design([flower["instance"] for flower in seen]),
        ).fit()
    np.savez(
        package / "weights" / "regression.npz",
        coefficients=fitted.params,
        normalized_covariance=fitted.normalized_cov_params,
        variance=fitted.scale,
        degrees_of_freedom=fitted.df_resid,
    )
    record_weights(package / "weights", ["regression.npz"], created=datetime.now(UTC))

    _write_rows(package / "examples" / "score.json", unseen)
    _write_rows(package / "examples" / "predict.json", [row["instance"] for row in unseen[:5]])
    columns = design([row["instance"] for row in unseen])
    measured = np.array([row["label"] for row in unseen])
    prediction = fitted.get_prediction(columns)
    lowest, highest = prediction.conf_int(obs=True, alpha=0.05).T
    within = (lowest <= measured) & (measured <= highest)
    print(f"r2 on what it learned from: {fitted.rsquared:.4f}; on {HELD_OUT} held-out flowers:")
    print(f"  mae {np.mean(np.abs(prediction.predicted_mean - measured)):.4f} cm")
    print(f"  within their interval {np.mean(within):.4f}")


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

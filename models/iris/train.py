# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml-py-stevedore-core",
#     "numpy==2.4.6",
#     "scikit-learn==1.9.1",
#     "scipy==1.17.1",
#     "skops==0.16.0",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# ///
"""Trains `iris` and writes its weights and examples into the package.

People run it: `uv run models/iris/train.py`. On one machine two runs leave the same weights.
"""

import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score, train_test_split

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_iris"
HELD_OUT = 45
SEED = 0
STRENGTHS = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Of the weights' freedom: the larger, the less they are pulled towards zero."""


def train(package: Path) -> None:
    """Fit on all but the held-out flowers and write `weights/` and `examples/` of `package`."""
    data = load_iris()
    species = data.target_names[data.target]
    seen, unseen, seen_species, unseen_species = train_test_split(
        data.data, species, test_size=HELD_OUT, stratify=species, random_state=SEED
    )
    chosen = min(STRENGTHS, key=lambda strength: _loss(strength, seen, seen_species))
    model = LogisticRegression(C=chosen, max_iter=10_000).fit(seen, seen_species)
    (package / "weights" / "model.skops").write_bytes(_canonical(skops.io.dumps(model)))
    record_weights(package / "weights", ["model.skops"], created=datetime.now(UTC))

    labelled = [
        {"instance": flower, "label": label}
        for flower, label in zip(unseen.tolist(), unseen_species.tolist(), strict=True)
    ]
    _write_rows(package / "examples" / "score.json", labelled)
    _write_rows(package / "examples" / "predict.json", [row["instance"] for row in labelled[:5]])
    print(f"strength {chosen:g}, on {HELD_OUT} held-out flowers:")
    print(f"  accuracy {model.score(unseen, unseen_species):.4f}")
    print(f"  log loss {log_loss(unseen_species, model.predict_proba(unseen)):.4f}")


def _loss(strength: float, flowers: NDArray[np.float64], species: NDArray[np.str_]) -> float:
    """Return the log loss in a fivefold cross-validation; it never sees a held-out flower."""
    model = LogisticRegression(C=strength, max_iter=10_000)
    return -float(np.mean(cross_val_score(model, flowers, species, cv=5, scoring="neg_log_loss")))


def _canonical(archive: bytes) -> bytes:
    """Return a skops archive without what differs from run to run.

    skops names arrays and marks values by their addresses in memory, and zip records the time.
    Here they get numbers in the order in which they appear, and the earliest time that zip knows.
    """
    numbers: dict[int, int] = {}
    canonical = io.BytesIO()
    with ZipFile(io.BytesIO(archive)) as source, ZipFile(canonical, "w") as target:
        schema = _renumbered(json.loads(source.read("schema.json")), numbers)
        target.writestr(ZipInfo("schema.json"), json.dumps(schema, indent=2))
        for address, number in numbers.items():
            if f"{address}.npy" in source.namelist():
                target.writestr(ZipInfo(f"{number}.npy"), source.read(f"{address}.npy"))
    return canonical.getvalue()


def _renumbered(node: object, numbers: dict[int, int]) -> object:
    if isinstance(node, list):
        return [_renumbered(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    renumbered = {key: _renumbered(value, numbers) for key, value in node.items()}
    if "__id__" in node:
        number = numbers.setdefault(node["__id__"], len(numbers) + 1)
        renumbered["__id__"] = number
        if "file" in node:
            renumbered["file"] = f"{number}.npy"
    return renumbered


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

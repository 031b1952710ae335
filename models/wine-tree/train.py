# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "ml-py-stevedore-core",
#     "numpy==2.4.6",
#     "scikit-learn==1.9.1",
#     "scipy==1.17.1",
# ]
#
# [tool.uv.sources]
# ml-py-stevedore-core = { path = "../../packages/core" }
# ///
"""Trains `wine-tree` and writes its weights and examples into the package.

People run it: `uv run models/wine-tree/train.py`. On one machine two runs leave the same weights.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.tree import DecisionTreeClassifier

from stevedore_core.weights import record_weights

PACKAGE = Path(__file__).parent / "src" / "stevedore_model_wine_tree"
COLUMNS = ["flavanoids", "color_intensity", "proline"]
GRAPES = np.array(["grape-1", "grape-2", "grape-3"])
"""The data does not say more of them than that they are three."""
DEPTHS = (1, 2, 3, 4, 5)
HELD_OUT = 54
SEED = 0


def train(package: Path) -> None:
    """Fit on all but the held-out wines and write `weights/` and `examples/` of `package`."""
    data = load_wine()
    chosen = data.data[:, [data.feature_names.index(column) for column in COLUMNS]]
    seen, unseen, seen_grapes, unseen_grapes = train_test_split(
        chosen, data.target, test_size=HELD_OUT, stratify=data.target, random_state=SEED
    )
    depth = max(DEPTHS, key=lambda depth: _rating(depth, seen, seen_grapes))
    model = _unfitted(depth).fit(seen, seen_grapes)
    tree = json.dumps(_node(model.tree_, 0), indent=2)
    (package / "weights" / "tree.json").write_text(f"{tree}\n", "utf-8")
    record_weights(package / "weights", ["tree.json"], created=datetime.now(UTC))

    labelled = [
        {"instance": dict(zip(COLUMNS, wine, strict=True)), "label": str(GRAPES[label])}
        for wine, label in zip(unseen.tolist(), unseen_grapes, strict=True)
    ]
    _write_rows(package / "examples" / "score.json", labelled)
    _write_rows(package / "examples" / "predict.json", [row["instance"] for row in labelled[:5]])
    print(f"depth {depth}, on {HELD_OUT} held-out wines:")
    print(f"  accuracy {model.score(unseen, unseen_grapes):.4f}")


def _rating(depth: int, wines: NDArray[np.float64], grapes: NDArray[np.int64]) -> float:
    """Return the accuracy in a fivefold cross-validation; it never sees a held-out wine."""
    return float(np.mean(cross_val_score(_unfitted(depth), wines, grapes, cv=5)))


def _unfitted(depth: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=depth, min_samples_leaf=3, random_state=SEED)


def _node(tree: Any, node: int) -> dict[str, Any]:
    """Return a node of scikit-learn's tree and all below it, limits to four decimals.

    A question to which both answers lead to the same grape is not asked.
    """
    if tree.children_left[node] == tree.children_right[node]:  # none
        return {"grape": str(GRAPES[tree.value[node].argmax()])}
    at_most, above = (_node(tree, side[node]) for side in (tree.children_left, tree.children_right))
    if at_most == above:
        return at_most
    return {
        "measurement": COLUMNS[tree.feature[node]],
        "limit": round(float(tree.threshold[node]), 4),
        "at_most": at_most,
        "above": above,
    }


def _write_rows(path: Path, rows: Sequence[object]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)

"""The fitted object that every server calls, loaded from one file. `train.py` and peers call it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import skops.io

__all__ = ["Predict", "Rows", "load_fitted"]

Rows = list[list[float]]
Predict = Callable[[Rows], list[str] | list[float]]
"""n instances to n answers."""


def load_fitted(name: str, file: Path) -> Predict:
    """Return what the model package of that name does, as one function."""
    model = skops.io.load(file, trusted=["sklearn.tree._tree.Tree"])

    def species(rows: Rows) -> list[str]:
        names: list[str] = model.predict(np.asarray(rows)).tolist()
        return names

    def benign(rows: Rows) -> list[float]:
        probabilities: list[float] = model.predict_proba(np.asarray(rows))[:, 1].tolist()
        return probabilities

    functions: dict[str, Predict] = {"logistic": species, "forest": benign}
    return functions[name]

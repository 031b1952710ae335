"""The fitted object that every server calls, loaded from one file. `train.py` and peers call it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import skops.io
from numpy.typing import NDArray

__all__ = [
    "BATCH_ROWS",
    "BATCH_WAIT_S",
    "Predict",
    "Rows",
    "asked_model",
    "is_batching",
    "load_fitted",
]

BATCH_ROWS = 64
BATCH_WAIT_S = 0.005
"""Where a server takes a limit and a time to wait for more."""

Rows = Sequence[Sequence[float]] | NDArray[np.float64]
Predict = Callable[[Rows], list[str] | list[float]]
"""n instances to n answers."""


def asked_model() -> Predict:
    """Return the model that the environment names."""
    return load_fitted(os.environ["MODEL"], Path(os.environ["WEIGHTS"]))


def is_batching() -> bool:
    """Tell whether requests that wait are to be answered by one call of the model."""
    return os.environ["BATCHING"] == "1"


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

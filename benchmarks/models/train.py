"""Trains the benchmark's models. `prepare` runs it in the ceiling's environment.

Writes for each model its `weights/` and `examples/`, and in `known.json` instances with the answers
that every server has to give.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from benchmarks.servers.fitted import load_fitted
from stevedore_core.weights import record_weights

EXAMPLES = 5
SEED = 0

Fitted = tuple[ClassifierMixin, NDArray[np.float64], NDArray[Any]]
"""A model with its instances, (n, d), and their labels, (n,)."""


def logistic() -> Fitted:
    """Return a logistic regression, the 150 irises and their species."""
    data = load_iris()
    species = data.target_names[data.target]
    return LogisticRegression(max_iter=10_000).fit(data.data, species), data.data, species


def forest() -> Fitted:
    """Return a forest of 100 trees, the 569 tumours and whether they are benign."""
    data = load_breast_cancer()
    model = RandomForestClassifier(n_estimators=100, random_state=SEED)
    return model.fit(data.data, data.target), data.data, data.target


MODELS: dict[str, Callable[[], Fitted]] = {
    "forest": forest,
    "logistic": logistic,
}


def train(place: Path, name: str) -> None:
    """Fit one model and write what belongs to it into `place`."""
    model, instances, labels = MODELS[name]()
    weights, examples = place / "weights", place / "examples"
    weights.mkdir(parents=True)
    examples.mkdir()
    skops.io.dump(model, weights / "model.skops")
    record_weights(weights, ["model.skops"], created=datetime.now(UTC))
    rows = instances.tolist()
    labelled = [
        {"instance": row, "label": label} for row, label in zip(rows, labels.tolist(), strict=True)
    ]
    _write(examples / "predict.json", rows[:EXAMPLES])
    _write(examples / "score.json", labelled)
    answers = load_fitted(name, weights / "model.skops")(rows)
    _write(place / "known.json", {"instances": rows, "answers": answers})


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for model_name in MODELS:
        train(Path(sys.argv[1]) / model_name, model_name)

"""Says what an npz file tells of its linear model: `python probe.py FILE`."""

import json
import sys
from typing import Any

import numpy as np


def facts(file: str) -> dict[str, Any]:
    """Return what is known of the model, or why nothing can be started from it."""
    try:
        with np.load(file, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except ValueError as error:
        return {"refused": f"holds more than arrays of numbers and text: {error}"}
    found = {name: array.shape for name, array in arrays.items()}
    match found:
        case {"coefficients": (width,), "intercept": ()}:
            labels = None
        case {"coefficients": (width, k), "intercept": (m,), "labels": (n,)} if k == m == n:
            labels = arrays["labels"].tolist()
        case _:
            shapes = ", ".join(f"`{name}` {shape}" for name, shape in found.items())
            return {
                "refused": "expected the arrays `coefficients` (d,) and `intercept` () of a linear "
                "model of numbers, or `coefficients` (d, k), `intercept` (k,) and `labels` (k,) of "
                f"one of labels, found {shapes or 'none'}; for another kind of model, make a "
                "package with FRAMEWORK=numpy and change its `run_predict`"
            }
    task = "number" if labels is None else "label"
    return {"task": task, "labels": labels, "shape": [width], "columns": None}


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1])))

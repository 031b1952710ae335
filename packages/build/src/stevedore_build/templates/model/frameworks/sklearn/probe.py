"""Says what a skops file tells of its model: `python probe.py FILE [TRUSTED TYPE …]`."""

import json
import sys
from typing import Any

import numpy as np
import skops.io


def facts(file: str, trusted: list[str]) -> dict[str, Any]:
    """Return what is known of the model, or why nothing can be started from it."""
    foreign = skops.io.get_untrusted_types(file=file)
    if unknown := sorted(set(foreign) - set(trusted)):
        return {
            "refused": f"holds types that skops does not trust by itself: {', '.join(unknown)}; "
            f'if you do, add TRUST="{" ".join(sorted(foreign))}"'
        }
    model = skops.io.load(file, trusted=foreign)
    width = getattr(model, "n_features_in_", None)
    if width is None or not hasattr(model, "predict"):
        kind = type(model).__name__
        return {"refused": f"expected a fitted estimator with `predict`, found a `{kind}`"}
    names = getattr(model, "feature_names_in_", None)
    zeros: Any = np.zeros((2, width))
    if names is not None:
        import pandas as pd  # noqa: PLC0415  # it is there for models with names only

        zeros = pd.DataFrame(zeros, columns=names)
    try:
        shape = np.shape(model.predict(zeros))
    except (TypeError, ValueError) as error:
        return {"refused": f"does not predict from numbers alone: {error}"}
    if shape != (2,):
        return {"refused": f"expected one label or number per instance, found shape {shape[1:]}"}
    classes = getattr(model, "classes_", None)
    return {
        "task": "number" if classes is None else "label",
        "labels": None if classes is None else np.asarray(classes).tolist(),
        "shape": [int(width)],
        "columns": None if names is None else [str(name) for name in names],
        "ranges": ranges(model),
        "details": {"trusted": sorted(foreign)} if foreign else {},
    }


def ranges(model: Any) -> list[list[float]] | None:
    """Return where most of the numbers lay, if a scaler comes first and knows it."""
    first = model.steps[0][1] if hasattr(model, "steps") else model
    mean, scale = getattr(first, "mean_", None), getattr(first, "scale_", None)
    if mean is None or scale is None:
        return None
    return [[float(m - s), float(m + s)] for m, s in zip(mean, scale, strict=True)]


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1], sys.argv[2:])))

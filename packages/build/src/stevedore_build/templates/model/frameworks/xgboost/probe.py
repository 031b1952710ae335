"""Says what XGBoost's JSON or UBJSON tells of its model: `python probe.py FILE`."""

import json
import sys
from typing import Any

import xgboost as xgb

CHOSEN = {"binary:logistic": "round", "multi:softmax": "round", "multi:softprob": "argmax"}
"""How a label is chosen from what the trees say, by their objective."""


def facts(file: str) -> dict[str, Any]:
    """Return what is known of the model, or why nothing can be started from it."""
    try:
        booster = xgb.Booster(model_file=file)
    except xgb.core.XGBoostError as error:
        return {"refused": f"XGBoost cannot read it: {str(error).splitlines()[0]}"}
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    classes = int(learner["learner_model_param"]["num_class"])
    targets = int(learner["learner_model_param"].get("num_target", "1"))
    if targets > 1:
        return {"refused": f"expected one label or number per instance, found {targets} numbers"}
    kinds = zip(booster.feature_names or [], booster.feature_types or [], strict=False)
    if categories := [name for name, kind in kinds if kind == "c"]:
        return {"refused": f"expected numbers only, found categories: {', '.join(categories)}"}
    is_label = objective in CHOSEN
    return {
        "task": "label" if is_label else "number",
        "labels": list(range(max(classes, 2))) if is_label else None,
        "shape": [booster.num_features()],
        "columns": booster.feature_names,
        "details": {"chosen": CHOSEN[objective]} if is_label else {},
    }


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1])))

"""Says what LightGBM's text format tells of its model: `python probe.py FILE`."""

import json
import re
import sys
from typing import Any

import lightgbm as lgb

RANGE = re.compile(r"\[([^:]+):([^\]]+)\]")


def facts(file: str) -> dict[str, Any]:
    """Return what is known of the model, or why nothing can be started from it."""
    try:
        booster = lgb.Booster(model_file=file)
    except lgb.basic.LightGBMError as error:
        return {"refused": f"LightGBM cannot read it: {error}"}
    head = header(booster.model_to_string(num_iteration=1))
    objective = head.get("objective", "").split(" ")[0]
    classes = int(head["num_class"])
    is_label = objective in {"binary", "multiclass", "multiclassova"}
    if classes > 1 and not is_label:
        return {"refused": f"expected one label or number per instance, found {classes} numbers"}
    names = booster.feature_name()
    unnamed = all(re.fullmatch(r"Column_\d+", name) for name in names)
    return {
        "task": "label" if is_label else "number",
        "labels": list(range(max(classes, 2))) if is_label else None,
        "shape": [len(names)],
        "columns": None if unnamed else names,
        "ranges": [usual(said) for said in head["feature_infos"].split(" ")],
        "details": {"chosen": "round" if objective == "binary" else "argmax"} if is_label else {},
    }


def header(text: str) -> dict[str, str]:
    """Return what stands before the first tree, by name."""
    lines = text.partition("\nTree=")[0].splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def usual(said: str) -> list[float]:
    """Return the least and greatest value that a number had in training, 0 and 1 if unknown."""
    if found := RANGE.fullmatch(said):
        return [float(found[1]), float(found[2])]
    categories = [int(number) for number in re.findall(r"-?\d+", said)]  # or `none`
    return [min(categories), max(categories)] if categories else [0.0, 1.0]


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1])))

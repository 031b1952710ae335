"""Says what an ONNX graph tells of its model: `python probe.py FILE`.

Of several outputs, the first is the prediction.
"""

import json
import os
import sys
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper

# ONNX Runtime reads this once, when it is imported; without it, it reports to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

NUMBERS = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
LABELS = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
"""What the attribute with the labels is called in nodes that classify."""
TAKING = ("ArrayFeatureExtractor", "Gather")
"""Nodes that take elements out of an array."""


def facts(file: str) -> dict[str, Any]:
    """Return what is known of the model, or why nothing can be started from it."""
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(f"`{given.name}`" for given in inputs)
        return {"refused": f"expected one input, an array of instances, found {names}"}
    (given,) = inputs
    count, *shape = given.shape or [1]
    if given.type not in NUMBERS:
        return {"refused": f"expected an input of numbers, found `{given.name}`, a {given.type}"}
    if isinstance(count, int):
        return {
            "refused": f"its input `{given.name}` takes exactly {count} instances at once; "
            "export it with a first axis of any length"
        }
    if not shape or not all(isinstance(length, int) for length in shape):
        return {
            "refused": f"its input `{given.name}` has the shape {given.shape}; export "
            "it with a length for each axis but the first"
        }
    output = session.get_outputs()[0].name
    details = {"input": given.name, "output": output, "dtype": NUMBERS[given.type]}
    zeros = np.zeros((2, *shape), dtype=NUMBERS[given.type])
    (found,) = session.run([output], {given.name: zeros})
    known = {"shape": shape, "columns": None, "details": details}
    return known | prediction(np.asarray(found), labels_in(file), details)


def prediction(
    found: np.ndarray[Any, Any], labels: list[Any] | None, details: dict[str, str]
) -> dict[str, Any]:
    """Return what the model makes of two instances: labels, numbers, or a number per label."""
    one_each = found.shape in {(2,), (2, 1)}
    is_float = found.dtype.kind == "f"
    if one_each and is_float:
        return {"task": "number", "labels": None}
    if one_each and labels:
        return {"task": "label", "labels": labels}
    if one_each:
        return {
            "refused": f"nothing in it says which labels its first output `{details['output']}` "
            "may have; export a number for each label, (n, k), as the first output"
        }
    if is_float and found.ndim == 2:  # noqa: PLR2004  # (n, k)
        details["chosen"] = "argmax"
        return {"task": "label", "labels": labels or list(range(found.shape[1]))}
    return {
        "refused": "expected one label or number per instance, or a number for each label, found "
        f"shape {found.shape[1:]} in its first output `{details['output']}`"
    }


def labels_in(file: str) -> list[Any] | None:
    """Return the labels that a node which classifies holds, or from which the last node takes."""
    graph = onnx.load(file, load_external_data=False).graph
    constants = {constant.name: constant for constant in graph.initializer}
    found = None
    for node in graph.node:
        if node.op_type in TAKING and node.input[0] in constants:
            found = onnx.numpy_helper.to_array(constants[node.input[0]]).ravel().tolist()
        for attribute in node.attribute:
            if attribute.name in LABELS and (attribute.ints or attribute.strings):
                found = [*attribute.ints, *attribute.strings]
    return found and [label.decode() if isinstance(label, bytes) else label for label in found]


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1])))

"""Reads an original-style `model.py`, run by its author's Python, which has the libraries it needs.

`importing` hands the text of this file to that Python. It runs the author's code, which trains the
models, and writes what it found as JSON, and each model in a format that executes nothing when it
is loaded. Only the standard library is imported here.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import sys
import types
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["REFUSED", "read_original"]

REFUSED = 3
"""The exit code when the one line on standard output says what cannot be imported."""


class Predictor:
    """What the original's class of this name takes and does, without its checks."""

    def __init__(  # noqa: PLR0913, PLR0917 - the order its users know
        self,
        model: Any,
        name: str,
        test_input: Any,
        pred_schema: Any,
        score_test_input: Any,
        score_schema: Any,
        version: str = "v1",
    ) -> None:
        """Keep what it is given."""
        self.model = model
        self.name = name
        self.test_input = self._test_input = test_input
        self.score_test_input = self._score_test_input = score_test_input
        self.p_schema = pred_schema
        self.s_schema = score_schema
        self.version = version

    def convert_output(self, res: Any) -> Any:
        """Return it as it is."""
        return res


def read_original(file: Path, to: Path, trusted: list[str]) -> None:
    """Run `file`, and write into `to` what its list `predictors` holds."""
    for name in ("predictor", "service.predictor"):
        stand_in: Any = types.ModuleType(name)
        stand_in.Predictor = Predictor
        sys.modules[name] = stand_in
    sys.path[:0] = [str(file.parent), str(file.parent.parent)]
    sys.path.append(str(file.parents[min(2, len(file.parents) - 1)]))
    spec = importlib.util.spec_from_file_location("original_model", file)
    if spec is None or spec.loader is None:
        _refuse(f"{file}: expected a file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules["original_model"] = module
    with redirect_stdout(sys.stderr):
        spec.loader.exec_module(module)
        predictors = getattr(module, "predictors", None)
        if not isinstance(predictors, list) or not predictors:
            _refuse(f"{file}: expected a list `predictors` that is not empty")
        found = [
            _described(predictor, f"{file}: `predictors`, item {count}", to / str(count), trusted)
            for count, predictor in enumerate(predictors, 1)
        ]
    document = {"predictors": found, "distributions": _distributions()}
    (to / "found.json").write_text(json.dumps(document), encoding="utf-8")


def _described(predictor: Any, where: str, place: Path, trusted: list[str]) -> dict[str, Any]:
    if not isinstance(predictor, Predictor):
        _refuse(f"{where}: expected a `Predictor`, found `{_kind(predictor)}`")
    given = {
        "name": predictor.name,
        "version": str(predictor.version),
        "class": type(predictor).__name__,
        "predict_schema": predictor.p_schema,
        "score_schema": predictor.s_schema,
        "predict_example": predictor.test_input,
        "score_example": predictor.score_test_input,
    }
    for key, value in given.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            _refuse(f"{where}, `{key}`: is no JSON: {error}; use lists, numbers and strings")
    actual: Any = predictor
    payload = actual.convert_prediction_input(predictor.test_input)
    prediction = actual.convert_output(actual.run_predict(payload))
    place.mkdir()
    return {
        **given,
        "prediction": json.loads(json.dumps(prediction, default=lambda value: value.tolist())),
        "weights": _saved(predictor.model, where, place, trusted),
    }


def _saved(model: Any, where: str, place: Path, trusted: list[str]) -> dict[str, Any]:
    """Write the model in the format that fits it, and return how it is loaded."""
    library, kind = type(model).__module__.split(".")[0], type(model).__name__
    if _is_json(model):
        (place / "model.json").write_text(json.dumps(model), encoding="utf-8")
        return {"format": "json", "file": "model.json", "needs": []}
    if arrays := _arrays(model):
        importlib.import_module("numpy").savez(place / "model.npz", **arrays)
        shape = "arrays" if isinstance(model, dict) else "array"
        return {"format": shape, "file": "model.npz", "needs": ["numpy"]}
    if library == "xgboost" and hasattr(model, "save_model"):
        model.save_model(str(place / "model.ubj"))
        needs = ["xgboost", *(["sklearn"] if kind != "Booster" else [])]
        return {"format": "xgboost", "file": "model.ubj", "needs": needs, "type": kind}
    if library == "lightgbm" and kind == "Booster":
        model.save_model(str(place / "model.txt"))
        return {"format": "lightgbm", "file": "model.txt", "needs": ["lightgbm"]}
    if library == "lightgbm" or not _is_estimator(model):
        booster = "keep its `booster_` as the model" if library == "lightgbm" else ""
        other = "keep numpy arrays, JSON or an estimator of scikit-learn as the model"
        _refuse(
            f"{where}: its model is a `{_kind(model)}`, for which there is no format that executes "
            f"nothing when it is loaded; {booster or other}, and make the rest of it in the class"
        )
    return _save_skops(model, where, place, trusted)


def _save_skops(model: Any, where: str, place: Path, trusted: list[str]) -> dict[str, Any]:
    try:
        skops = importlib.import_module("skops.io")
    except ImportError:
        _refuse(
            f"{where}: its model is a `{_kind(model)}`, which is stored with skops; install it "
            f"beside scikit-learn: `{sys.executable} -m pip install skops`"
        )
    skops.dump(model, place / "model.skops")
    unknown = skops.get_untrusted_types(file=place / "model.skops")
    if left := [name for name in unknown if name not in trusted]:
        listed = ", ".join(f"`{name}`" for name in left)
        _refuse(
            f"{where}: its model holds types that skops does not trust by itself: {listed}; "
            f'if you know what they do, run this again with `TRUST="{" ".join(left)}"`'
        )
    needs = ["skops", *{name.split(".")[0] for name in [type(model).__module__, *unknown]}]
    text = json.dumps(sorted(unknown))
    return {"format": "skops", "file": "model.skops", "needs": sorted(needs), "trusted": text}


def _is_estimator(model: Any) -> bool:
    return any(kind.__module__.startswith("sklearn.") for kind in type(model).__mro__)


def _is_json(model: Any) -> bool:
    """Tell whether JSON gives back the same: of tuples, say, it makes lists."""
    try:
        return bool(json.loads(json.dumps(model, allow_nan=False)) == model)
    except (TypeError, ValueError):
        return False


def _arrays(model: Any) -> dict[str, Any] | None:
    """Return the arrays that a model consists of, by name; `None` if it is something else."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    named = model if isinstance(model, dict) else {"array": model}
    fits = all(
        isinstance(name, str) and isinstance(array, numpy.ndarray) and array.dtype != object
        for name, array in named.items()
    )
    return named if fits else None


def _distributions() -> dict[str, list[str]]:
    """Return, for each module that was imported, the distribution it is from and its version."""
    providers = importlib.metadata.packages_distributions()
    imported = {name.split(".")[0] for name in sys.modules}
    return {
        name: [providers[name][0], importlib.metadata.version(providers[name][0])]
        for name in sorted(imported & providers.keys())
    }


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _refuse(reason: str) -> NoReturn:
    sys.__stdout__.write(reason)  # type: ignore[union-attr]  # it is there: a process of its own
    sys.exit(REFUSED)


if __name__ == "__main__":
    read_original(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

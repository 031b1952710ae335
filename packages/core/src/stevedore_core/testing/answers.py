"""What a Predictor answers, as callers get it, and comparing that. The suite calls it."""

from copy import deepcopy
from typing import Any

from stevedore_core.json_pointers import escape
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json, decode, encode

__all__ = ["answers_of", "difference", "predicted"]


def predicted(predictor: Predictor, payload: Json) -> Any:
    """Return the prediction for `payload`, which is kept out of the model's reach."""
    prediction = predictor.predict(deepcopy(payload))
    return decode(encode(prediction, nan_as_null=predictor.nan_as_null))


def answers_of(predictor: Predictor) -> list[Json]:
    """Return the prediction and the score of the examples."""
    score = predictor.score(deepcopy(predictor.score_test_input))
    return [predicted(predictor, predictor.test_input), decode(encode(score))]


def difference(found: Json, expected: Json, float_tolerance: float, where: str = "") -> str | None:
    """Return the first place at which two answers differ, as a JSON Pointer and a sentence.

    Two floats may differ by `float_tolerance`, relative, and absolute below 1. All else, integers
    included, must be equal.
    """
    ones: Any = found
    others: Any = expected
    if isinstance(found, list) and isinstance(expected, list):
        ones, others = dict(enumerate(found)), dict(enumerate(expected))
    if isinstance(ones, dict) and isinstance(others, dict) and ones.keys() == others.keys():
        told = (
            difference(ones[key], others[key], float_tolerance, f"{where}/{escape(str(key))}")
            for key in ones
        )
        return next(filter(None, told), None)
    if type(found) is type(expected) and _equal(found, expected, float_tolerance):
        return None
    return f"`{where}`: expected {expected!r}, found {found!r}"


def _equal(found: Json, expected: Json, float_tolerance: float) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= float_tolerance * max(1.0, abs(found), abs(expected))
    return found == expected

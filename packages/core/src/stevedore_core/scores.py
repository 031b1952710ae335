"""`Score`: one named quality number of a model, with its direction.

The self-test reads them from what `run_scores` returned; health shows them and holds them against
what a manifest demands, and so do a composition's checks.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from stevedore_core.errors import OutputNotJson
from stevedore_core.strict_json import Json

__all__ = ["Direction", "Score", "read_scores", "shortfalls"]

Direction = Literal["higher", "lower"]

_EXPECTED = (
    "expected a number, {name: number} or "
    '{name: {"value": number, "direction": "higher" | "lower"}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A quality number; `direction` says which way is better."""

    name: str
    value: float
    direction: Direction = "higher"


def read_scores(result: Json) -> tuple[Score, ...]:
    """Return the scores in what `run_scores` said; a bare number is called `score`.

    Raises:
        OutputNotJson: It is not one of the forms that the contract allows.
    """
    if not isinstance(result, dict):
        return (_score("score", result),)
    if not result:
        raise OutputNotJson(f"`run_scores` returned no score: {_EXPECTED}")
    return tuple(_score(name, value) for name, value in result.items())


def shortfalls(scores: Iterable[Score], minimum: Mapping[str, float]) -> tuple[str, ...]:
    """Return, in words, every score that is worse than the minimum for it, or that is not there.

    Args:
        scores: What a model scored.
        minimum: The worst value that will do, by the score's name: the lowest where higher is
            better, the highest where lower is.
    """
    found = {score.name: score for score in scores}
    lines = []
    for name, least in minimum.items():
        if (score := found.get(name)) is None:
            there = ", ".join(f"`{other}`" for other in found)
            lines.append(f"no score is called `{name}`; there are {there or 'none'}")
        elif score.direction == "higher" and score.value < least:
            lines.append(f"`{name}` is {score.value:g}, at least {least:g} is demanded")
        elif score.direction == "lower" and score.value > least:
            lines.append(f"`{name}` is {score.value:g}, at most {least:g} is demanded")
    return tuple(lines)


def _score(name: str, said: Json) -> Score:
    value, direction = said, "higher"
    if isinstance(said, dict) and set(said) == {"value", "direction"}:
        value, direction = said["value"], str(said["direction"])
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise OutputNotJson(f"`run_scores` returned {value!r} for `{name}`: {_EXPECTED}")
    if direction not in get_args(Direction):
        raise OutputNotJson(f"`run_scores` gave `{name}` the direction {direction!r}: {_EXPECTED}")
    return Score(name=name, value=float(value), direction=cast("Direction", direction))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False

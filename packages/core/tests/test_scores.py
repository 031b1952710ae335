"""Scores: the forms that `run_scores` may return, and no others."""

import pytest

from stevedore_core.errors import OutputNotJson
from stevedore_core.scores import Score, read_scores, shortfalls
from stevedore_core.strict_json import Json

EXPECTED = (
    "expected a number, {name: number} or "
    '{name: {"value": number, "direction": "higher" | "lower"}}'
)


@pytest.mark.parametrize(
    ("result", "scores"),
    [
        (0.5, (Score(name="score", value=0.5),)),
        (0, (Score(name="score", value=0.0),)),
        (-(2**70), (Score(name="score", value=-(2.0**70)),)),
        ({"accuracy": 1}, (Score(name="accuracy", value=1.0, direction="higher"),)),
        (
            {"loss": {"value": 2, "direction": "lower"}, "accuracy": 0.5},
            (
                Score(name="loss", value=2.0, direction="lower"),
                Score(name="accuracy", value=0.5, direction="higher"),
            ),
        ),
        (
            {"value": 1, "direction": 2},
            (Score(name="value", value=1.0), Score(name="direction", value=2.0)),
        ),
    ],
)
def test_numbers_become_scores(result: Json, scores: tuple[Score, ...]) -> None:
    """A bare number is called `score`; higher is better unless the model says lower."""
    assert read_scores(result) == scores


@pytest.mark.parametrize("said", [None, True, "0.5", [0.5], [], 10**400])
def test_what_is_no_number_is_no_score(said: Json) -> None:
    """The message names the score and shows what the model returned."""
    for name, result in (("score", said), ("accuracy", {"accuracy": said})):
        with pytest.raises(OutputNotJson) as caught:
            read_scores(result)
        assert str(caught.value) == f"`run_scores` returned {said!r} for `{name}`: {EXPECTED}"


@pytest.mark.parametrize(
    "said", [{"value": 1}, {"value": 1, "direction": "lower", "n": 3}, {"a": {"b": 1}}, {}]
)
def test_a_score_has_value_and_direction_and_nothing_else(said: Json) -> None:
    """An object that is not exactly the two keys is refused."""
    with pytest.raises(OutputNotJson) as caught:
        read_scores({"loss": said})
    assert str(caught.value) == f"`run_scores` returned {said!r} for `loss`: {EXPECTED}"


@pytest.mark.parametrize("direction", ["up", "", None, 1, ["lower"]])
def test_a_direction_is_higher_or_lower(direction: Json) -> None:
    """No other word says which way is better."""
    with pytest.raises(OutputNotJson) as caught:
        read_scores({"loss": {"value": 1, "direction": direction}})
    assert str(caught.value) == (
        f"`run_scores` gave `loss` the direction {str(direction)!r}: {EXPECTED}"
    )


def test_no_score_is_not_a_score() -> None:
    """A model must say how good it is."""
    with pytest.raises(OutputNotJson) as caught:
        read_scores({})
    assert str(caught.value) == f"`run_scores` returned no score: {EXPECTED}"


def test_shortfalls() -> None:
    """A minimum is the lowest value where higher is better, and the highest where lower is."""
    scores = (
        Score(name="accuracy", value=0.9),
        Score(name="loss", value=0.5, direction="lower"),
    )
    assert shortfalls(scores, {"accuracy": 0.9, "loss": 0.5}) == ()
    assert shortfalls(scores, {"accuracy": 0.901, "loss": 0.499, "f1": 0.1}) == (
        "`accuracy` is 0.9, at least 0.901 is demanded",
        "`loss` is 0.5, at most 0.499 is demanded",
        "no score is called `f1`; there are `accuracy`, `loss`",
    )
    assert shortfalls((), {"f1": 0}) == ("no score is called `f1`; there are none",)

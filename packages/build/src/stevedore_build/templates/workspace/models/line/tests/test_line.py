"""The model `line`: the contract, and numbers of its own."""

import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_line import load


@pytest.fixture(scope="module")
def line() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "line"


def test_known_answers(line: Predictor) -> None:
    """The points were drawn around y = 2 x + 1."""
    assert line.predict([0, 5, 10]) == pytest.approx([1, 11, 21], abs=0.2)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"x": 1}, ""),
        ([], ""),
        ([0] * 10_001, ""),
        ([1, "2"], "/1"),
        ([None], "/0"),
        ([1_000_001], "/0"),
        ([-1_000_001], "/0"),
    ],
)
def test_bad_payload_is_refused(line: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the prediction schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        line.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([{"x": 1, "y": 3}] * 10_001, ""),
        ([[1, 3]], "/0"),
        ([{"x": 1}], "/0"),
        ([{"x": 1, "y": 3, "z": 5}], "/0"),
        ([{"x": "1", "y": 3}], "/0/x"),
        ([{"x": 1_000_001, "y": 3}], "/0/x"),
        ([{"x": -1_000_001, "y": 3}], "/0/x"),
        ([{"x": 1, "y": "3"}], "/0/y"),
        ([{"x": 1, "y": 10_000_001}], "/0/y"),
        ([{"x": 1, "y": -10_000_001}], "/0/y"),
    ],
)
def test_bad_points_are_refused(line: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        line.score(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


def test_score_is_that_of_the_changelog(line: Predictor) -> None:
    """Points that the line was not fitted to lie as near to it as its changelog says."""
    (mae,) = score_examples(line)
    assert (mae.name, mae.direction) == ("mae", "lower")
    assert mae.value == pytest.approx(0.3827, abs=1e-4)

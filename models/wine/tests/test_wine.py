"""The model `wine`: the contract, and numbers of its own."""

import numpy as np
import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_wine import load

WINE: list[Json] = [13.77, 1.9, 2.68, 17.1, 115.0, 3.0, 2.79, 0.39, 1.68, 6.3, 1.13, 2.93, 1375.0]


@pytest.fixture(scope="module")
def wine() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "wine"


def test_runs_on_the_numpy_that_it_requires() -> None:
    """The function that it is held back by is there, and would not be in NumPy 2."""
    assert np.__version__.startswith("1.")
    assert hasattr(np, "asfarray")


@pytest.mark.parametrize(
    ("instance", "grape"),
    [
        (WINE, "grape-1"),
        (
            [12.37, 1.07, 2.1, 18.5, 88.0, 3.52, 3.75, 0.24, 1.95, 4.5, 1.04, 2.77, 660.0],
            "grape-2",
        ),
        ([0] * 13, "grape-2"),
        ([10_000] * 13, "grape-1"),
    ],
)
def test_known_answers(wine: Predictor, instance: Json, grape: str) -> None:
    """Wines of the held-out split are named, and the bounds of the schema have an answer."""
    assert wine.predict([instance]) == [grape]


def test_distances_are_those_of_training(wine: Predictor) -> None:
    """The mean wine is as far from each centre as it was when they were computed."""
    found = np.sum(wine.model["centres"] ** 2, axis=1)
    assert found.tolist() == pytest.approx([6.40316032, 2.69521922, 9.41141418], abs=1e-8)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"wines": [WINE]}, ""),
        ([], ""),
        ([WINE] * 10_001, ""),
        ([WINE, "red"], "/1"),
        ([WINE[1:]], "/0"),
        ([[*WINE, 1.0]], "/0"),
        ([[*WINE[:12], "1375"]], "/0/12"),
        ([[-0.1, *WINE[1:]]], "/0/0"),
        ([[10_000.1, *WINE[1:]]], "/0/0"),
    ],
)
def test_bad_payload_is_refused(wine: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the prediction schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        wine.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([{"instance": WINE, "label": "grape-1"}] * 10_001, ""),
        ([WINE], "/0"),
        ([{"instance": WINE}], "/0"),
        ([{"label": "grape-1"}], "/0"),
        ([{"instance": WINE, "label": "grape-1", "weight": 1}], "/0"),
        ([{"instance": WINE, "label": "grape-4"}], "/0/label"),
        ([{"instance": "red", "label": "grape-1"}], "/0/instance"),
        ([{"instance": WINE[1:], "label": "grape-1"}], "/0/instance"),
        ([{"instance": [*WINE, 1.0], "label": "grape-1"}], "/0/instance"),
        ([{"instance": [*WINE[:12], "1375"], "label": "grape-1"}], "/0/instance/12"),
        ([{"instance": [-1, *WINE[1:]], "label": "grape-1"}], "/0/instance/0"),
        ([{"instance": [10_001, *WINE[1:]], "label": "grape-1"}], "/0/instance/0"),
    ],
)
def test_bad_labels_are_refused(wine: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        wine.score(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


def test_score_is_that_of_the_changelog(wine: Predictor) -> None:
    """On the held-out wines the model makes one mistake, as its changelog says."""
    (accuracy,) = score_examples(wine)
    assert (accuracy.name, accuracy.direction) == ("accuracy", "higher")
    assert accuracy.value == pytest.approx(53 / 54)


def test_score_counts_what_is_wrong(wine: Predictor) -> None:
    """Accuracy is the share of wines named rightly."""
    labels = ["grape-1", "grape-2", "grape-1", "grape-1"]
    payload: Json = [{"instance": WINE, "label": label} for label in labels]
    assert wine.score(payload) == {"accuracy": {"value": 0.75, "direction": "higher"}}

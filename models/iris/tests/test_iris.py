"""The model `iris`: the contract, and numbers of its own."""

import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_iris import load

FLOWER: list[Json] = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def iris() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "iris"


@pytest.mark.parametrize(
    ("flower", "species"),
    [
        ([5.1, 3.5, 1.4, 0.2], "setosa"),
        ([5, 3, 1, 0], "setosa"),
        ([5.7, 2.8, 4.5, 1.3], "versicolor"),
        ([6.3, 3.4, 5.6, 2.4], "virginica"),
        ([0, 0, 0, 0], "setosa"),
        ([30, 30, 30, 30], "virginica"),
    ],
)
def test_known_answers(iris: Predictor, flower: Json, species: str) -> None:
    """Each species is recognised, and the bounds of the schema have an answer."""
    assert iris.predict([flower]) == [species]


def test_probabilities_are_those_of_training(iris: Predictor) -> None:
    """The loaded weights give a doubtful flower the probabilities it got when they were trained."""
    (found,) = iris.model.predict_proba([[6.0, 2.7, 5.1, 1.6]])
    assert found.tolist() == pytest.approx([0.000000403, 0.243659696, 0.756339902], abs=1e-8)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"flowers": [FLOWER]}, ""),
        ([], ""),
        ([FLOWER] * 10_001, ""),
        ([FLOWER, "setosa"], "/1"),
        ([[5.1, 3.5, 1.4]], "/0"),
        ([[*FLOWER, 1.0]], "/0"),
        ([[5.1, "3.5", 1.4, 0.2]], "/0/1"),
        ([[5.1, 3.5, None, 0.2]], "/0/2"),
        ([[5.1, 3.5, 1.4, -0.1]], "/0/3"),
        ([[30.1, 3.5, 1.4, 0.2]], "/0/0"),
    ],
)
def test_bad_payload_is_refused(iris: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the prediction schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        iris.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([{"instance": FLOWER, "label": "setosa"}] * 10_001, ""),
        ([FLOWER], "/0"),
        ([{"instance": FLOWER}], "/0"),
        ([{"label": "setosa"}], "/0"),
        ([{"instance": FLOWER, "label": "setosa", "weight": 1}], "/0"),
        ([{"instance": FLOWER, "label": "rosa"}], "/0/label"),
        ([{"instance": "setosa", "label": "setosa"}], "/0/instance"),
        ([{"instance": [5.1], "label": "setosa"}], "/0/instance"),
        ([{"instance": [*FLOWER, 1.0], "label": "setosa"}], "/0/instance"),
        ([{"instance": [5.1, 3.5, "1.4", 0.2], "label": "setosa"}], "/0/instance/2"),
        ([{"instance": [5.1, 3.5, 1.4, -1], "label": "setosa"}], "/0/instance/3"),
        ([{"instance": [5.1, 3.5, 1.4, 31], "label": "setosa"}], "/0/instance/3"),
    ],
)
def test_bad_labels_are_refused(iris: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        iris.score(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


def test_score_is_above_the_floor(iris: Predictor) -> None:
    """On the held-out flowers the model is as good as its changelog says."""
    accuracy, loss = score_examples(iris)
    assert (accuracy.name, accuracy.direction) == ("accuracy", "higher")
    assert accuracy.value >= 0.97
    assert (loss.name, loss.direction) == ("log_loss", "lower")
    assert loss.value == pytest.approx(0.0295, abs=5e-5)


def test_score_counts_what_is_wrong(iris: Predictor) -> None:
    """Accuracy is the share of flowers named rightly; the loss weighs how sure it was of them."""
    labels = ["setosa", "virginica", "setosa", "setosa"]
    payload: Json = [{"instance": FLOWER, "label": label} for label in labels]
    assert iris.score(payload) == {
        "accuracy": {"value": 0.75, "direction": "higher"},
        "log_loss": {"value": pytest.approx(9.0767, abs=1e-4), "direction": "lower"},
    }


def test_loss_of_the_impossible_is_finite(iris: Predictor) -> None:
    """A species to which the model gives no chance at all still has a loss that JSON can hold."""
    found = iris.score([{"instance": [30, 0, 30, 30], "label": "setosa"}])
    assert isinstance(found, dict)
    assert 0 < found["log_loss"]["value"] < 1000

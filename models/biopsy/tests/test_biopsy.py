"""The model `biopsy`: the contract, and numbers of its own."""

import math

import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_biopsy import load

TUMOUR: list[Json] = [1] * 30


@pytest.fixture(scope="module")
def biopsy() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "biopsy"


def test_known_answers(biopsy: Predictor) -> None:
    """The packaged examples get the probabilities they got when the model was trained."""
    assert biopsy.predict(biopsy.test_input) == pytest.approx(
        [0.000374, 0.009492, 0.025441, 0.000861, 0.000140], abs=1e-5
    )
    assert biopsy.predict([[0] * 30, [100_000] * 30]) == pytest.approx(
        [0.000832, 0.999702], abs=1e-5
    )


def test_computes_in_one_thread(biopsy: Predictor) -> None:
    """The trees take no threads of their own, which the models beside them could miss."""
    assert '"nthread":"1"' in biopsy.model.save_config()


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"tumours": [TUMOUR]}, ""),
        ([], ""),
        ([TUMOUR] * 10_001, ""),
        ([TUMOUR, "benign"], "/1"),
        ([TUMOUR[1:]], "/0"),
        ([[*TUMOUR, 1]], "/0"),
        ([["1", *TUMOUR[1:]]], "/0/0"),
        ([[*TUMOUR[1:], None]], "/0/29"),
        ([[*TUMOUR[1:], -0.1]], "/0/29"),
        ([[*TUMOUR[1:], 100_001]], "/0/29"),
    ],
)
def test_bad_payload_is_refused(biopsy: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the prediction schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        biopsy.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([{"instance": TUMOUR, "label": "benign"}] * 10_001, ""),
        ([TUMOUR], "/0"),
        ([{"instance": TUMOUR}], "/0"),
        ([{"label": "benign"}], "/0"),
        ([{"instance": TUMOUR, "label": "benign", "weight": 1}], "/0"),
        ([{"instance": TUMOUR, "label": "unclear"}], "/0/label"),
        ([{"instance": "benign", "label": "benign"}], "/0/instance"),
        ([{"instance": TUMOUR[1:], "label": "benign"}], "/0/instance"),
        ([{"instance": [*TUMOUR, 1], "label": "benign"}], "/0/instance"),
        ([{"instance": ["1", *TUMOUR[1:]], "label": "benign"}], "/0/instance/0"),
        ([{"instance": [-0.1, *TUMOUR[1:]], "label": "benign"}], "/0/instance/0"),
        ([{"instance": [100_001, *TUMOUR[1:]], "label": "benign"}], "/0/instance/0"),
    ],
)
def test_bad_labels_are_refused(biopsy: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        biopsy.score(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


def test_score_is_beyond_the_floor(biopsy: Predictor) -> None:
    """On the held-out tumours the model is as good as its changelog says."""
    accuracy, loss = score_examples(biopsy)
    assert (accuracy.name, accuracy.direction) == ("accuracy", "higher")
    assert accuracy.value == pytest.approx(0.9474, abs=5e-5)
    assert (loss.name, loss.direction) == ("log_loss", "lower")
    assert loss.value == pytest.approx(0.1183, abs=5e-5)


def test_score_weighs_how_sure_it_was(biopsy: Predictor) -> None:
    """A tumour is named rightly if what it is was more likely than not; the loss says how much."""
    assert isinstance(biopsy.test_input, list)
    tumour = biopsy.test_input[0]
    (malignant,) = biopsy.predict([tumour])
    right, wrong = sorted((malignant, 1 - malignant), reverse=True)
    for label, given in (("malignant", malignant), ("benign", 1 - malignant)):
        assert biopsy.score([{"instance": tumour, "label": label}]) == {
            "accuracy": {"value": float(given == right), "direction": "higher"},
            "log_loss": {"value": pytest.approx(-math.log(given)), "direction": "lower"},
        }
    assert right > 0.5 > wrong

"""The model `digits`: the contract, and numbers of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_digits import load

ROW: list[Json] = [0] * 8
BLANK: list[Json] = [ROW] * 8
ZERO: list[Json] = [
    [0, 0, 5, 13, 9, 1, 0, 0],
    [0, 0, 13, 15, 10, 15, 5, 0],
    [0, 3, 15, 2, 0, 11, 8, 0],
    [0, 4, 12, 0, 0, 8, 8, 0],
    [0, 5, 8, 0, 0, 9, 8, 0],
    [0, 4, 11, 0, 1, 12, 7, 0],
    [0, 2, 14, 5, 10, 12, 0, 0],
    [0, 0, 6, 13, 10, 0, 0, 0],
]


@pytest.fixture(scope="module")
def digits() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "digits"


def test_known_answers(digits: Predictor) -> None:
    """The packaged examples are read as they were when the model was trained."""
    assert digits.predict(digits.test_input) == [8, 5, 8, 6, 8]
    assert digits.predict([ZERO]) == [0]


def test_probabilities_are_those_of_training(digits: Predictor) -> None:
    """The runtime gives a doubtful image the probabilities it got when the network was trained."""
    images, labels = digits.convert_score_input(digits.score_test_input)
    (found,) = digits.model.run(["probabilities"], {"pixels": images[29:30]})
    assert labels[29] == 7
    assert found[0].tolist() == pytest.approx(
        [1e-06, 2.4e-05, 5.4e-05, 1.1e-05, 0.015097, 1e-06, 0.0, 0.57474, 0.000617, 0.409455],
        abs=1e-5,
    )


def test_whole_floats_are_pixels(digits: Predictor) -> None:
    """`3.0` is an integer to JSON Schema and means what `3` means."""
    assert digits.predict([[[3] * 8] * 8]) == digits.predict([[[3.0] * 8] * 8])


@pytest.mark.parametrize("pixel", [0, 16])
def test_extremes_are_answered(digits: Predictor, pixel: int) -> None:
    """A blank and a black image are read as some digit."""
    (digit,) = digits.predict([[[pixel] * 8] * 8])
    assert digit in range(10)


def test_computes_in_one_thread(digits: Predictor) -> None:
    """The session takes no threads of its own, which the models beside it could miss."""
    options = digits.model.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"images": [BLANK]}, ""),
        ([], ""),
        ([BLANK] * 10_001, ""),
        ([BLANK, "8"], "/1"),
        ([[ROW] * 7], "/0"),
        ([[ROW] * 9], "/0"),
        ([[*[ROW] * 7, 0]], "/0/7"),
        ([[*[ROW] * 7, [0] * 7]], "/0/7"),
        ([[*[ROW] * 7, [0] * 9]], "/0/7"),
        ([[*[ROW] * 7, [*[0] * 7, "0"]]], "/0/7/7"),
        ([[*[ROW] * 7, [*[0] * 7, 0.5]]], "/0/7/7"),
        ([[*[ROW] * 7, [*[0] * 7, -1]]], "/0/7/7"),
        ([[*[ROW] * 7, [*[0] * 7, 17]]], "/0/7/7"),
    ],
)
def test_bad_payload_is_refused(digits: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the prediction schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        digits.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([{"instance": BLANK, "label": 0}] * 10_001, ""),
        ([BLANK], "/0"),
        ([{"instance": BLANK}], "/0"),
        ([{"label": 0}], "/0"),
        ([{"instance": BLANK, "label": 0, "weight": 1}], "/0"),
        ([{"instance": BLANK, "label": "0"}], "/0/label"),
        ([{"instance": BLANK, "label": 0.5}], "/0/label"),
        ([{"instance": BLANK, "label": -1}], "/0/label"),
        ([{"instance": BLANK, "label": 10}], "/0/label"),
        ([{"instance": "0", "label": 0}], "/0/instance"),
        ([{"instance": [ROW], "label": 0}], "/0/instance"),
        ([{"instance": [*BLANK, ROW], "label": 0}], "/0/instance"),
        ([{"instance": [*[ROW] * 7, 0], "label": 0}], "/0/instance/7"),
        ([{"instance": [*[ROW] * 7, [0]], "label": 0}], "/0/instance/7"),
        ([{"instance": [*[ROW] * 7, [0] * 9], "label": 0}], "/0/instance/7"),
        ([{"instance": [*[ROW] * 7, [*[0] * 7, 0.5]], "label": 0}], "/0/instance/7/7"),
        ([{"instance": [*[ROW] * 7, [*[0] * 7, -1]], "label": 0}], "/0/instance/7/7"),
        ([{"instance": [*[ROW] * 7, [*[0] * 7, 17]], "label": 0}], "/0/instance/7/7"),
    ],
)
def test_bad_labels_are_refused(digits: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        digits.score(payload)
    assert [violation.pointer for violation in refused.value.violations] == [pointer]


def test_score_is_above_the_floor(digits: Predictor) -> None:
    """On the held-out images the model is as good as its changelog says."""
    (accuracy,) = score_examples(digits)
    assert (accuracy.name, accuracy.direction) == ("accuracy", "higher")
    assert accuracy.value >= 0.95


def test_score_counts_what_is_wrong(digits: Predictor) -> None:
    """Accuracy is the share of images read rightly."""
    payload: Json = [{"instance": ZERO, "label": label} for label in (0, 0, 8, 0)]
    assert digits.score(payload) == {"accuracy": {"value": 0.75, "direction": "higher"}}


def test_nothing_is_kept_to_report(tmp_path: Path) -> None:
    """Loading the model leaves no file in the home directory, as the library's reports would."""
    code = "import stevedore_model_digits; stevedore_model_digits.load()"
    environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    subprocess.run([sys.executable, "-c", code], env={**environ, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []

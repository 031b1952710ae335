"""The model `digit-embedding`: the contract, and numbers of its own."""

import numpy as np
import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_digit_embedding import load

ROW: list[Json] = [0] * 8
BLANK: list[Json] = [ROW] * 8


@pytest.fixture(scope="module")
def embedding() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "digit-embedding"
    float_tolerance = 1e-12  # a product of matrices sums in another order than one of vectors


def test_known_answers(embedding: Predictor) -> None:
    """An image gets the numbers that it got when the model was trained."""
    first, *_ = embedding.predict(embedding.test_input)
    assert first == pytest.approx(
        [3.152, -0.548, -0.707, -10.097, 7.697, -13.154, -1.848, 13.412, -0.235, -2.664],
        abs=5e-4,
    )


def test_directions_are_at_right_angles(embedding: Predictor) -> None:
    """Ten directions of length 1, none of which says what another says."""
    directions = embedding.model.directions
    assert directions.shape == (10, 64)
    assert directions @ directions.T == pytest.approx(np.eye(10), abs=1e-12)


@pytest.mark.parametrize("pixel", [0, 16])
def test_extremes_are_answered(embedding: Predictor, pixel: int) -> None:
    """A blank and a black image get ten numbers, too."""
    (found,) = embedding.predict([[[pixel] * 8] * 8])
    assert len(found) == 10


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
def test_bad_payload_is_refused(embedding: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of both schemas refuses the payload that breaks it, and says where."""
    for method in (embedding.predict, embedding.score):
        with pytest.raises(PayloadInvalid) as refused:
            method(payload)
        assert [violation.pointer for violation in refused.value.violations] == [pointer]


def test_score_is_beyond_the_floor(embedding: Predictor) -> None:
    """On the held-out images the model is as good as its changelog says."""
    kept, error = score_examples(embedding)
    assert (kept.name, kept.direction) == ("variance_kept", "higher")
    assert kept.value == pytest.approx(0.7326, abs=5e-5)
    assert (error.name, error.direction) == ("pixel_error", "lower")
    assert error.value == pytest.approx(1.4926, abs=5e-5)


def test_what_the_numbers_hold_comes_back(embedding: Predictor) -> None:
    """Ten numbers keep an image that lies on their directions whole, and another one not at all."""
    mean, directions = embedding.model.mean, embedding.model.directions
    within = mean + 3 * directions[:1]
    (away, *_) = np.linalg.svd(directions)[2][10:]
    beyond = mean + 64 * away[None, :]
    assert embedding.run_scores(within, within) == {
        "variance_kept": {"value": pytest.approx(1), "direction": "higher"},
        "pixel_error": {"value": pytest.approx(0, abs=1e-9), "direction": "lower"},
    }
    assert embedding.run_scores(beyond, beyond) == {
        "variance_kept": {"value": pytest.approx(0, abs=1e-9), "direction": "higher"},
        "pixel_error": {"value": pytest.approx(np.abs(away).sum()), "direction": "lower"},
    }

"""The model `diabetes`: the contract, and numbers of its own."""

import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_diabetes import COLUMNS, load

PATIENT: dict[str, Json] = {
    "age": 59,
    "sex": 2,
    "bmi": 32.1,
    "bp": 101,
    "s1": 157,
    "s2": 93.2,
    "s3": 38,
    "s4": 4,
    "s5": 4.8598,
    "s6": 87,
}
BOUNDS: dict[str, tuple[float, float]] = {
    "age": (0, 120),
    "bmi": (10, 100),
    "bp": (20, 300),
    "s1": (0, 1000),
    "s2": (0, 1000),
    "s3": (0, 1000),
    "s4": (0, 100),
    "s5": (0, 10),
    "s6": (0, 1000),
}
BEYOND = [
    (name, value)
    for name, (smallest, largest) in BOUNDS.items()
    for value in (smallest - 0.1, largest + 0.1)
]


@pytest.fixture(scope="module")
def diabetes() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "diabetes"


def test_known_answers(diabetes: Predictor) -> None:
    """The packaged examples get the predictions they got when the model was trained."""
    assert diabetes.predict(diabetes.test_input) == pytest.approx(
        [239.643954, 234.783263, 171.876263, 110.364546, 175.986155], abs=1e-5
    )


def test_columns_are_those_of_training(diabetes: Predictor) -> None:
    """The columns go to the trees in the order in which the trees learned them."""
    assert diabetes.model.feature_name() == list(COLUMNS)


def test_order_of_keys_does_not_matter(diabetes: Predictor) -> None:
    """A patient is known by the names of the measurements."""
    turned: Json = dict(reversed(PATIENT.items()))
    assert diabetes.predict([turned]) == diabetes.predict([PATIENT])


@pytest.mark.parametrize(
    "payload",
    [
        {"patients": [PATIENT]},
        [],
        [PATIENT] * 10_001,
    ],
)
def test_bad_list_is_refused(diabetes: Predictor, payload: Json) -> None:
    """A payload is an array of 1 to 10,000 patients."""
    with pytest.raises(PayloadInvalid) as refused:
        diabetes.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [""]


@pytest.mark.parametrize(
    "patient",
    [
        list(PATIENT.values()),
        {**PATIENT, "height": 180},
        *[{key: PATIENT[key] for key in PATIENT if key != missing} for missing in PATIENT],
    ],
)
def test_bad_patient_is_refused(diabetes: Predictor, patient: Json) -> None:
    """A patient is an object with exactly the ten measurements."""
    with pytest.raises(PayloadInvalid) as refused:
        diabetes.predict([PATIENT, patient])
    assert [violation.pointer for violation in refused.value.violations] == ["/1"]
    with pytest.raises(PayloadInvalid) as refused:
        diabetes.score([{"instance": patient, "label": 1}, {"instance": PATIENT, "label": 1}])
    assert [violation.pointer for violation in refused.value.violations] == ["/0/instance"]


@pytest.mark.parametrize(
    ("name", "value"),
    [*BEYOND, *[(name, "1") for name in PATIENT], ("sex", 0), ("sex", 3), ("sex", 1.5)],
)
def test_bad_measurement_is_refused(diabetes: Predictor, name: str, value: Json) -> None:
    """Each measurement is a number within its bounds."""
    patient: Json = {**PATIENT, name: value}
    with pytest.raises(PayloadInvalid) as refused:
        diabetes.predict([patient])
    assert [violation.pointer for violation in refused.value.violations] == [f"/0/{name}"]
    with pytest.raises(PayloadInvalid) as refused:
        diabetes.score([{"instance": patient, "label": 1}, {"instance": PATIENT, "label": 1}])
    assert [violation.pointer for violation in refused.value.violations] == [f"/0/instance/{name}"]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([{"instance": PATIENT, "label": 1}], ""),
        ([{"instance": PATIENT, "label": 1}] * 10_001, ""),
        ([{"instance": PATIENT, "label": 1}, PATIENT], "/1"),
        ([{"instance": PATIENT, "label": 1}, {"instance": PATIENT}], "/1"),
        ([{"instance": PATIENT, "label": 1}, {"label": 1}], "/1"),
        ([{"instance": PATIENT, "label": 1}, {"instance": PATIENT, "label": 1, "n": 1}], "/1"),
        ([{"instance": PATIENT, "label": 1}, {"instance": PATIENT, "label": "1"}], "/1/label"),
        ([{"instance": PATIENT, "label": 1}, {"instance": PATIENT, "label": 0.5}], "/1/label"),
        ([{"instance": PATIENT, "label": 1}, {"instance": PATIENT, "label": -1}], "/1/label"),
        ([{"instance": PATIENT, "label": 1}, {"instance": PATIENT, "label": 1001}], "/1/label"),
    ],
)
def test_bad_labels_are_refused(diabetes: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        diabetes.score(payload)
    pointers = {violation.pointer for violation in refused.value.violations}
    assert pointers == {pointer}


def test_score_is_beyond_the_floor(diabetes: Predictor) -> None:
    """On the held-out patients the model is as good as its changelog says."""
    mae, r2 = score_examples(diabetes)
    assert (mae.name, mae.direction) == ("mae", "lower")
    assert (r2.name, r2.direction) == ("r2", "higher")
    assert mae.value <= 46
    assert r2.value >= 0.31


@pytest.mark.parametrize(("miss", "explained"), [(0, 1.0), (1, 0.0)])
def test_equal_labels_leave_no_variance(diabetes: Predictor, miss: int, explained: float) -> None:
    """Where all labels are equal, the share explained is 1 if all are hit, else 0."""
    X = diabetes.convert_prediction_input([PATIENT, PATIENT])  # noqa: N806  # as in core
    y = diabetes.run_predict(X) + miss
    assert diabetes.run_scores(X, y) == {
        "mae": {"value": miss, "direction": "lower"},
        "r2": {"value": explained, "direction": "higher"},
    }

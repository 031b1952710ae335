"""The model `petals`: the contract, and numbers of its own."""

import pytest
from statsmodels.regression.linear_model import OLS

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_petals import load, rebuilt

FLOWER: dict[str, Json] = {
    "sepal_length": 6.0,
    "sepal_width": 2.7,
    "petal_length": 5.1,
    "species": "versicolor",
}
LENGTHS = ("sepal_length", "sepal_width", "petal_length")


@pytest.fixture(scope="module")
def petals() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "petals"
    float_tolerance = 1e-12  # a product of matrices sums in another order than one of vectors


def test_known_answers(petals: Predictor) -> None:
    """Each species gets the width and the bounds that it got when the model was trained."""
    payload: Json = [
        {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "species": "setosa"},
        FLOWER,
        {**FLOWER, "species": "virginica"},
    ]
    assert petals.predict(payload) == [
        pytest.approx({"petal_width": 0.24779, "lowest": -0.08251, "highest": 0.57808}, abs=5e-5),
        pytest.approx({"petal_width": 1.51974, "lowest": 1.17808, "highest": 1.86140}, abs=5e-5),
        pytest.approx({"petal_width": 1.92889, "lowest": 1.59625, "highest": 2.26153}, abs=5e-5),
    ]


def test_rebuilt_results_predict_as_fitted_ones(petals: Predictor) -> None:
    """What is made anew from the weights predicts what the results of a fit would."""
    X, y = petals.convert_score_input(petals.score_test_input)  # noqa: N806  # as in core
    fitted = OLS(y, X).fit()
    found = rebuilt(
        {
            "coefficients": fitted.params,
            "normalized_covariance": fitted.normalized_cov_params,
            "variance": fitted.scale,
            "degrees_of_freedom": fitted.df_resid,
        }
    ).get_prediction(X)
    expected = fitted.get_prediction(X)
    assert found.predicted_mean == pytest.approx(expected.predicted_mean, rel=1e-12)
    assert found.conf_int(obs=True) == pytest.approx(expected.conf_int(obs=True), rel=1e-12)


def test_order_of_keys_does_not_matter(petals: Predictor) -> None:
    """A flower is known by the names of what it has."""
    turned: Json = dict(reversed(FLOWER.items()))
    assert petals.predict([turned]) == petals.predict([FLOWER])


def test_the_unusual_is_less_sure(petals: Predictor) -> None:
    """The interval is wider for a flower that is unlike those it learned from."""
    (usual, unusual) = petals.predict([FLOWER, {**FLOWER, "sepal_length": 30}])
    assert unusual["highest"] - unusual["lowest"] > 3 * (usual["highest"] - usual["lowest"])


@pytest.mark.parametrize("payload", [{"flowers": [FLOWER]}, [], [FLOWER] * 10_001])
def test_bad_list_is_refused(petals: Predictor, payload: Json) -> None:
    """A payload is an array of 1 to 10,000 flowers."""
    with pytest.raises(PayloadInvalid) as refused:
        petals.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [""]


@pytest.mark.parametrize(
    ("flower", "pointer"),
    [
        (list(FLOWER.values()), ""),
        ({**FLOWER, "petal_width": 1}, ""),
        *[({key: FLOWER[key] for key in FLOWER if key != missing}, "") for missing in FLOWER],
        *[({**FLOWER, name: bad}, f"/{name}") for name in LENGTHS for bad in ("1", -0.1, 30.1)],
        ({**FLOWER, "species": "rosa"}, "/species"),
    ],
)
def test_bad_flower_is_refused(petals: Predictor, flower: Json, pointer: str) -> None:
    """A flower is an object with exactly three lengths within bounds, and a known species."""
    with pytest.raises(PayloadInvalid) as refused:
        petals.predict([FLOWER, flower])
    assert [violation.pointer for violation in refused.value.violations] == [f"/1{pointer}"]
    with pytest.raises(PayloadInvalid) as refused:
        petals.score([{"instance": flower, "label": 1}])
    assert [v.pointer for v in refused.value.violations] == [f"/0/instance{pointer}"]


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ([{"instance": FLOWER, "label": 1}] * 10_001, ""),
        ([FLOWER], "/0"),
        ([{"instance": FLOWER}], "/0"),
        ([{"label": 1}], "/0"),
        ([{"instance": FLOWER, "label": 1, "weight": 1}], "/0"),
        ([{"instance": FLOWER, "label": "1"}], "/0/label"),
        ([{"instance": FLOWER, "label": -0.1}], "/0/label"),
        ([{"instance": FLOWER, "label": 30.1}], "/0/label"),
    ],
)
def test_bad_labels_are_refused(petals: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        petals.score(payload)
    assert {violation.pointer for violation in refused.value.violations} == {pointer}


def test_score_is_beyond_the_floor(petals: Predictor) -> None:
    """On the held-out flowers the model is as good as its changelog says."""
    mae, intervals = score_examples(petals)
    assert (mae.name, mae.direction) == ("mae", "lower")
    assert mae.value == pytest.approx(0.1282, abs=5e-5)
    assert (intervals.name, intervals.direction) == ("interval_score", "lower")
    assert intervals.value == pytest.approx(1.0169, abs=5e-5)


def test_a_miss_costs_forty_times_its_distance(petals: Predictor) -> None:
    """An interval scores its width, and what lies outside of it counts 2 / 0.05 times."""
    (said,) = petals.predict([FLOWER])
    width = said["highest"] - said["lowest"]
    for label, outside in (
        (said["petal_width"], 0.0),
        (said["highest"] + 0.1, 0.1),
        (said["lowest"] - 0.1, 0.1),
    ):
        assert petals.score([{"instance": FLOWER, "label": label}]) == {
            "mae": {
                "value": pytest.approx(abs(said["petal_width"] - label)),
                "direction": "lower",
            },
            "interval_score": {"value": pytest.approx(width + 40 * outside), "direction": "lower"},
        }

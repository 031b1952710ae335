"""The model `wine-tree`: the contract, and numbers of its own."""

import pytest

from stevedore_core.errors import PayloadInvalid
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import score_examples
from stevedore_core.strict_json import Json
from stevedore_core.testing import Conformance
from stevedore_model_wine_tree import load

WINE: dict[str, Json] = {"flavanoids": 2.79, "color_intensity": 6.3, "proline": 1375}


@pytest.fixture(scope="module")
def wine_tree() -> Predictor:
    """Load the model once: predicting changes nothing in it."""
    return load()


class TestConformance(Conformance):
    """The contract."""

    model = "wine-tree"


@pytest.mark.parametrize(
    ("numbers", "grape", "because"),
    [
        ((2.79, 6.3, 1375), "grape-1", ["proline is above 765.0", "flavanoids is above 2.165"]),
        ((2.165, 6.3, 1375), "grape-3", ["proline is above 765.0", "flavanoids is at most 2.165"]),
        (
            (1.4, 3.725, 765),
            "grape-2",
            [
                "proline is at most 765.0",
                "flavanoids is at most 1.4",
                "color_intensity is at most 3.725",
            ],
        ),
        (
            (0, 100, 0),
            "grape-3",
            [
                "proline is at most 765.0",
                "flavanoids is at most 1.4",
                "color_intensity is above 3.725",
            ],
        ),
        (
            (1.75, 2.95, 355),
            "grape-2",
            [
                "proline is at most 765.0",
                "flavanoids is above 1.4",
                "proline is at most 679.0",
            ],
        ),
        (
            (3.75, 4.5, 700),
            "grape-1",
            [
                "proline is at most 765.0",
                "flavanoids is above 1.4",
                "proline is above 679.0",
                "flavanoids is above 2.58",
            ],
        ),
    ],
)
def test_known_answers(
    wine_tree: Predictor, numbers: tuple[float, ...], grape: str, because: list[str]
) -> None:
    """Each way through the tree is found, and told; a limit itself is not above it."""
    wine: Json = dict(zip(WINE, numbers, strict=True))
    assert wine_tree.predict([wine]) == [{"grape": grape, "because": because}]


def test_order_of_keys_does_not_matter(wine_tree: Predictor) -> None:
    """A wine is known by the names of the measurements."""
    turned: Json = dict(reversed(WINE.items()))
    assert wine_tree.predict([turned]) == wine_tree.predict([WINE])


@pytest.mark.parametrize("payload", [{"wines": [WINE]}, [], [WINE] * 10_001])
def test_bad_list_is_refused(wine_tree: Predictor, payload: Json) -> None:
    """A payload is an array of 1 to 10,000 wines."""
    with pytest.raises(PayloadInvalid) as refused:
        wine_tree.predict(payload)
    assert [violation.pointer for violation in refused.value.violations] == [""]


@pytest.mark.parametrize(
    ("wine", "pointer"),
    [
        (list(WINE.values()), ""),
        ({**WINE, "hue": 1}, ""),
        *[({key: WINE[key] for key in WINE if key != missing}, "") for missing in WINE],
        *[({**WINE, name: value}, f"/{name}") for name in WINE for value in ("1", None, -0.1)],
        ({**WINE, "flavanoids": 100.1}, "/flavanoids"),
        ({**WINE, "color_intensity": 100.1}, "/color_intensity"),
        ({**WINE, "proline": 10_001}, "/proline"),
    ],
)
def test_bad_wine_is_refused(wine_tree: Predictor, wine: Json, pointer: str) -> None:
    """A wine is an object with exactly the three measurements, each within its bounds."""
    with pytest.raises(PayloadInvalid) as refused:
        wine_tree.predict([WINE, wine])
    assert [violation.pointer for violation in refused.value.violations] == [f"/1{pointer}"]
    with pytest.raises(PayloadInvalid) as refused:
        wine_tree.score([{"instance": wine, "label": "grape-1"}])
    assert [v.pointer for v in refused.value.violations] == [f"/0/instance{pointer}"]


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
    ],
)
def test_bad_labels_are_refused(wine_tree: Predictor, payload: Json, pointer: str) -> None:
    """Each rule of the score schema refuses the payload that breaks it, and says where."""
    with pytest.raises(PayloadInvalid) as refused:
        wine_tree.score(payload)
    assert {violation.pointer for violation in refused.value.violations} == {pointer}


def test_score_is_above_the_floor(wine_tree: Predictor) -> None:
    """On the held-out wines the model is as good as its changelog says."""
    (accuracy,) = score_examples(wine_tree)
    assert (accuracy.name, accuracy.direction) == ("accuracy", "higher")
    assert accuracy.value == pytest.approx(0.9444, abs=5e-5)


def test_score_counts_what_is_wrong(wine_tree: Predictor) -> None:
    """Accuracy is the share of wines named rightly."""
    payload: Json = [{"instance": WINE, "label": f"grape-{n}"} for n in (1, 2, 1, 1)]
    assert wine_tree.score(payload) == {"accuracy": {"value": 0.75, "direction": "higher"}}

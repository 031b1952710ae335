"""What is the composition's own: seven frameworks that share one environment.

What every composition promises is tested by `tests/composition`.
"""

import json
from collections.abc import Iterator

import httpx
import pytest
from served import LAYOUT, LOCK, MODELS, post, ready_client

FRAMEWORKS = {
    "iris": "scikit-learn",
    "digits": "onnxruntime",
    "diabetes": "lightgbm",
    "biopsy": "xgboost-cpu",
    "petals": "statsmodels",
    "digit-embedding": "numpy",
    "wine-tree": None,
}
INVALID = {
    "iris": ([[5.1, 3.5, 1.4, "wide"]], "/0/3"),
    "digits": ([[[0] * 8] * 7], "/0"),
    "diabetes": ([{"age": "old"}], "/0/age"),
    "biopsy": ([[1] * 29], "/0"),
    "petals": ([{"species": "rosa"}], "/0/species"),
    "digit-embedding": ([[[17] * 8] * 8], "/0/0/0"),
    "wine-tree": ([{"proline": None}], "/0/proline"),
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the served composition."""
    with ready_client() as client:
        yield client


def test_models_are_those_of_the_manifest() -> None:
    """Exactly these models are served."""
    assert list(MODELS) == list(FRAMEWORKS)


def test_frameworks_share_an_environment() -> None:
    """Each model has the framework that it was made with, and all are in one place."""
    (environment,) = {model.environment for model in MODELS.values()}
    needed = {entry["name"]: entry["requires"] for entry in LOCK["models"]}
    for model, framework in FRAMEWORKS.items():
        if framework is not None:
            assert framework in needed[model]
            pattern = f"{framework.replace('-', '_')}-*.dist-info"
            assert len(list((LAYOUT / "environments" / environment).glob(pattern))) == 1


def test_a_model_without_a_framework_needs_none() -> None:
    """Plain Python brings nothing along but what the contract needs, which all have."""
    needed = {entry["name"]: set(entry["requires"]) for entry in LOCK["models"]}
    assert needed["wine-tree"] == set.intersection(*needed.values())


@pytest.mark.parametrize("model", INVALID)
def test_invalid_payload_is_refused_with_a_pointer(client: httpx.Client, model: str) -> None:
    """A payload that breaks the schema is 422, and the problem says where."""
    payload, pointer = INVALID[model]
    answer = post(client, f"/models/{model}/predict", json.dumps(payload))
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert pointer in {violation["pointer"] for violation in answer.json()["violations"]}

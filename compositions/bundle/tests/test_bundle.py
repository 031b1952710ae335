"""What is the composition's own: its models' schemas at work, and its limit on bodies.

What every composition promises is tested by `tests/composition`.
"""

import json
from collections.abc import Iterator

import httpx
import pytest
from served import MODELS, post, ready_client

INVALID = {
    "iris": ([[5.1, 3.5, 1.4, "wide"]], "/0/3"),
    "digits": ([[[0] * 8] * 7], "/0"),
    "diabetes": ([{"age": "old"}], "/0/age"),
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the served composition."""
    with ready_client() as client:
        yield client


def test_models_are_those_of_the_manifest() -> None:
    """Exactly these models are served, each at the version that it is pinned at."""
    assert {name: model.version for name, model in MODELS.items()} == dict.fromkeys(
        INVALID, "1.0.0"
    )


@pytest.mark.parametrize("model", INVALID)
def test_invalid_payload_is_refused_with_a_pointer(client: httpx.Client, model: str) -> None:
    """A payload that breaks the schema is 422, and the problem says where."""
    payload, pointer = INVALID[model]
    answer = post(client, f"/models/{model}/predict", json.dumps(payload))
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert pointer in {violation["pointer"] for violation in answer.json()["violations"]}


def test_too_large_body_is_refused(client: httpx.Client) -> None:
    """A body above the limit is 413, whatever is in it."""
    body = " " * (9 << 20) + MODELS["iris"].example("predict")
    answer = post(client, "/models/iris/predict", body)
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE

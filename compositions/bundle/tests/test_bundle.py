"""The composition as its callers meet it: over HTTP, served from its lock.

`ml-stevedore test-composition` serves it and says where in the environment. The tests know the
contract and the lock, not how anything is served.
"""

import hashlib
import json
import os
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

LAYOUT = Path(os.environ["STEVEDORE_LAYOUT"])
MODELS = {
    "iris": "1.0.0",
    "digits": "1.0.0",
    "diabetes": "1.0.0",
}
INVALID = {
    "iris": ([[5.1, 3.5, 1.4, "wide"]], "/0/3"),
    "digits": ([[[0] * 8] * 7], "/0"),
    "diabetes": ([{"age": "old"}], "/0/age"),
}
READY_LIMIT_S = 30.0

ALONE = """
import json, sys
from stevedore_core.calls import predict
from stevedore_core.discovery import load_model, model_names

assert model_names() == [sys.argv[1]], model_names()
model = load_model(sys.argv[1])
print(json.dumps([predict(model, body.encode()).decode() for body in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the served composition, once every model is ready."""
    with httpx.Client(base_url=os.environ["STEVEDORE_URL"], timeout=30) as client:
        give_up = time.monotonic() + READY_LIMIT_S
        while client.get("/readyz").status_code != httpx.codes.OK and time.monotonic() < give_up:
            time.sleep(0.05)
        yield client


def example(model: str) -> str:
    """Return a model's packaged example payload, as its file has it."""
    package = LAYOUT / "models" / model / MODELS[model] / f"stevedore_model_{model}"
    return (package / "examples" / "predict.json").read_text("utf-8")


def predict(client: httpx.Client, model: str, body: str) -> httpx.Response:
    """Ask a model for a prediction."""
    return client.post(
        f"/models/{model}/predict", content=body, headers={"Content-Type": "application/json"}
    )


def test_is_ready(client: httpx.Client) -> None:
    """All models are loaded and pass their self-tests."""
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, "READY")
    assert client.get("/health").json()["ready"] == dict.fromkeys(MODELS, True)


def test_catalogue_lists_the_pinned_models(client: httpx.Client) -> None:
    """The catalogue has the manifest's models, in its order, at the pinned versions."""
    assert client.get("/list").json() == list(MODELS)
    assert {m["name"]: m["version"] for m in client.get("/models").json()} == MODELS


def test_composition_is_the_lock(client: httpx.Client) -> None:
    """What the server says it runs is what the lock holds, hash by hash."""
    text = (LAYOUT / "composition" / "lock.toml").read_text("utf-8")
    lock = tomllib.loads(text)
    shown = client.get("/composition").json()
    assert shown["lock_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    for key in ("name", "version", "python"):
        assert shown[key] == lock[key]
    for key, fields in (
        ("models", ("name", "version", "environment", "distribution", "sha256")),
        ("wheels", ("distribution", "version", "sha256")),
        ("environments", ("name", "sha256")),
    ):
        assert shown[key] == [{field: entry[field] for field in fields} for entry in lock[key]]


@pytest.mark.parametrize("model", MODELS)
def test_packaged_example_predicts(client: httpx.Client, model: str) -> None:
    """A model answers its own example with one prediction per instance."""
    answer = predict(client, model, example(model))
    assert answer.status_code == httpx.codes.OK
    assert len(answer.json()) == len(json.loads(example(model)))


@pytest.mark.parametrize("model", MODELS)
def test_predictions_equal_those_of_the_model_alone(client: httpx.Client, model: str) -> None:
    """Whatever else is in the composition, each prediction has the bytes it has without it."""
    whole = example(model)
    bodies = [whole, *(json.dumps([instance]) for instance in json.loads(whole))]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [os.environ["STEVEDORE_PYTHON"], "-c", ALONE, model],
        input=json.dumps(bodies),
        env={
            "PYTHONPATH": json.loads(os.environ["STEVEDORE_ALONE"])[model],
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # the path leads into layers of the image
            **threads,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    alone = json.loads(done.stdout)
    together = [predict(client, model, body).text for body in bodies]
    assert together == alone


@pytest.mark.parametrize("model", MODELS)
def test_invalid_payload_is_refused_with_a_pointer(client: httpx.Client, model: str) -> None:
    """A payload that breaks the schema is 422, and the problem says where."""
    payload, pointer = INVALID[model]
    answer = predict(client, model, json.dumps(payload))
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert pointer in {violation["pointer"] for violation in answer.json()["violations"]}


def test_unparsable_body_is_refused(client: httpx.Client) -> None:
    """A body that is not JSON is 400."""
    assert predict(client, "iris", "[[5.1, 3.5").status_code == httpx.codes.BAD_REQUEST


def test_unknown_model_is_refused(client: httpx.Client) -> None:
    """A name that nobody serves is 404."""
    assert predict(client, "tulip", "[]").status_code == httpx.codes.NOT_FOUND


def test_other_content_type_is_refused(client: httpx.Client) -> None:
    """A body that is not declared as JSON is 415."""
    answer = client.post(
        "/models/iris/predict", content=example("iris"), headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE


def test_too_large_body_is_refused(client: httpx.Client) -> None:
    """A body above the limit is 413, whatever is in it."""
    answer = predict(client, "iris", " " * (9 << 20) + example("iris"))
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE

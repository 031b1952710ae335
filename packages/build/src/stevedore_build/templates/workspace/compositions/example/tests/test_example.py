"""The composition as its callers meet it: over HTTP, served from its lock or from its image.

`ml-stevedore` serves it and says where in the environment. What the models are is read from the
lock, so that another model needs no edit here.
"""

import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

COMPOSITION = Path(os.environ["STEVEDORE_LAYOUT"]) / "composition"
LOCK = (COMPOSITION / "lock.toml").read_text("utf-8")
MODELS = [(model["name"], model["version"]) for model in tomllib.loads(LOCK)["models"]]
READY_LIMIT_S = 30.0


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the served composition, once every model is ready."""
    with httpx.Client(base_url=os.environ["STEVEDORE_URL"], timeout=30) as client:
        give_up = time.monotonic() + READY_LIMIT_S
        while client.get("/readyz").status_code != httpx.codes.OK and time.monotonic() < give_up:
            time.sleep(0.05)
        yield client


def example(name: str, version: str) -> str:
    """Return a model's packaged example payload, as its file has it."""
    package = f"stevedore_model_{name.replace('-', '_')}"
    place = COMPOSITION.parent / "models" / name / version / package
    return (place / "examples" / "predict.json").read_text("utf-8")


def test_is_ready(client: httpx.Client) -> None:
    """All models are loaded and pass their self-tests."""
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, "READY")


def test_composition_is_the_lock(client: httpx.Client) -> None:
    """What the server says it runs is what the lock holds."""
    shown = client.get("/composition").json()
    assert shown["lock_sha256"] == hashlib.sha256(LOCK.encode()).hexdigest()
    assert [(model["name"], model["version"]) for model in shown["models"]] == MODELS


@pytest.mark.parametrize(("name", "version"), MODELS)
def test_packaged_example_predicts(client: httpx.Client, name: str, version: str) -> None:
    """A model answers its own example."""
    answer = client.post(
        f"/models/{name}/versions/{version}/predict",
        content=example(name, version),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == httpx.codes.OK, answer.text
    assert len(answer.json()) == len(json.loads(example(name, version)))


def test_unparsable_body_is_refused(client: httpx.Client) -> None:
    """A body that is not JSON is 400."""
    answer = client.post(
        f"/models/{MODELS[0][0]}/predict",
        content="[1,",
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == httpx.codes.BAD_REQUEST

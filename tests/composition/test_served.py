"""What every composition promises its callers, whatever it is made of, over HTTP.

The tests know the contract and the lock, not how anything is served.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from served import ALONE, LOCK, LOCK_TEXT, MODELS, Model, post, ready_client

ASK_ALONE = """
import json, sys
from stevedore_core.calls import predict, score
from stevedore_core.discovery import load_model, model_names

assert model_names() == [sys.argv[1]], model_names()
model = load_model(sys.argv[1])
whole, labelled = json.load(sys.stdin)
bodies = [whole]
if model.batchable:
    bodies += [json.dumps([instance]) for instance in json.loads(whole)]
answers = [("predict", body, predict(model, body.encode()).decode()) for body in bodies]
answers += [("score", labelled, score(model, labelled.encode()).decode())]
print(json.dumps(answers))
"""

EACH_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the served composition."""
    with ready_client() as client:
        yield client


@pytest.fixture(scope="module")
def versions() -> dict[str, list[str]]:
    """The versions of each model in the lock's order, the default first."""
    found: dict[str, list[str]] = {}
    for model in MODELS.values():
        found.setdefault(model.name, []).append(model.version)
    return found


def test_is_ready(client: httpx.Client) -> None:
    """All models are loaded and pass their self-tests."""
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, "READY")
    assert client.get("/health").json()["ready"] == dict.fromkeys(MODELS, True)


def test_catalogue_lists_the_pinned_models(
    client: httpx.Client, versions: dict[str, list[str]]
) -> None:
    """The catalogue has the lock's models in its order, each at all its versions."""
    assert client.get("/list").json() == list(versions)
    for name, pinned in versions.items():
        assert client.get(f"/models/{name}/versions").json() == pinned
        assert client.get(f"/models/{name}/version").json() == pinned[0]


def test_composition_is_the_lock(client: httpx.Client) -> None:
    """What the server says it runs is what the lock holds, hash by hash."""
    shown = client.get("/composition").json()
    assert shown["lock_sha256"] == hashlib.sha256(LOCK_TEXT.encode()).hexdigest()
    for key in ("name", "version", "python"):
        assert shown[key] == LOCK[key]
    for key, fields in (
        ("models", ("name", "version", "environment", "distribution", "sha256")),
        ("wheels", ("distribution", "version", "sha256")),
        ("environments", ("name", "sha256")),
    ):
        assert shown[key] == [{field: entry[field] for field in fields} for entry in LOCK[key]]


@pytest.mark.parametrize("key", MODELS)
def test_answers_equal_those_of_the_model_alone(client: httpx.Client, key: str) -> None:
    """Whatever else is in the composition, each answer has the bytes it has without it."""
    model = MODELS[key]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [os.environ["STEVEDORE_PYTHON"], "-c", ASK_ALONE, model.name],
        input=json.dumps([model.example("predict"), model.example("score")]),
        env={
            "PYTHONPATH": ALONE[key],
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # the path leads into layers of the image
            **threads,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    alone = json.loads(done.stdout)
    together = [
        [verb, body, post(client, f"{model.place}/{verb}", body).text] for verb, body, _ in alone
    ]
    assert together == alone


def test_without_a_version_the_default_answers(
    client: httpx.Client, versions: dict[str, list[str]]
) -> None:
    """The path that names no version leads to the default, and so does the envelope."""
    for name, (default, *_) in versions.items():
        body = MODELS[name].example("predict")
        answers = {
            post(client, f"/models/{name}/versions/{default}/predict", body).text,
            post(client, f"/models/{name}/predict", body).text,
            post(client, "/predict", f'{{"predictor": "{name}", "payload": {body}}}').text,
        }
        assert len(answers) == 1, name


@EACH_MODEL
def test_unparsable_body_is_refused(client: httpx.Client, model: Model) -> None:
    """A body that is not JSON is 400."""
    answer = post(client, f"{model.place}/predict", model.example("predict").rstrip()[:-1])
    assert answer.status_code == httpx.codes.BAD_REQUEST


@EACH_MODEL
def test_other_content_type_is_refused(client: httpx.Client, model: Model) -> None:
    """A body that is not declared as JSON is 415."""
    headers = {"Content-Type": "text/plain"}
    body = model.example("predict")
    answer = client.post(f"{model.place}/predict", content=body, headers=headers)
    assert answer.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE


def test_unknown_model_is_refused(client: httpx.Client) -> None:
    """A name that nobody serves is 404."""
    assert post(client, "/models/no-such/predict", "[]").status_code == httpx.codes.NOT_FOUND

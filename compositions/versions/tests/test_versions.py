"""Two versions of one model and a model with an older NumPy, as their callers meet them.

`ml-stevedore test-composition` serves the composition and says where in the environment.
"""

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
MODELS = {"iris": "1.1.0", "iris@1.0.0": "1.0.0", "wine": "1.0.0"}
READY_LIMIT_S = 30.0

ALONE = """
import json, sys
from stevedore_core.calls import predict, score
from stevedore_core.discovery import load_model

model = load_model(sys.argv[1])
whole, labelled = json.load(sys.stdin)
answers = [predict(model, whole.encode()), score(model, labelled.encode())]
print(json.dumps([answer.decode() for answer in answers]))
"""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the served composition, once every model is ready."""
    with httpx.Client(base_url=os.environ["STEVEDORE_URL"], timeout=30) as client:
        give_up = time.monotonic() + READY_LIMIT_S
        while client.get("/readyz").status_code != httpx.codes.OK and time.monotonic() < give_up:
            time.sleep(0.05)
        yield client


def place(key: str) -> str:
    """Return below which path a model of `MODELS` is."""
    return f"/models/{key.partition('@')[0]}/versions/{MODELS[key]}"


def example(key: str, verb: str) -> str:
    """Return a packaged example of a model of `MODELS`, as its file has it."""
    name = key.partition("@")[0]
    package = LAYOUT / "models" / name / MODELS[key] / f"stevedore_model_{name}"
    return (package / "examples" / f"{verb}.json").read_text("utf-8")


def post(client: httpx.Client, path: str, body: str) -> httpx.Response:
    """Send a body of JSON."""
    return client.post(path, content=body, headers={"Content-Type": "application/json"})


def test_all_are_ready(client: httpx.Client) -> None:
    """Every version is loaded and passes its self-test."""
    assert client.get("/readyz").json() == "READY"
    assert client.get("/health").json()["ready"] == dict.fromkeys(MODELS, True)


def test_versions_are_listed(client: httpx.Client) -> None:
    """The default version stands first."""
    assert client.get("/list").json() == ["iris", "wine"]
    assert client.get("/models/iris/versions").json() == ["1.1.0", "1.0.0"]
    assert client.get("/models/iris/version").json() == "1.1.0"


@pytest.mark.parametrize("key", MODELS)
def test_answers_equal_those_of_the_version_alone(client: httpx.Client, key: str) -> None:
    """Each version answers with the bytes that it answers with where no other is."""
    bodies = [example(key, "predict"), example(key, "score")]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [os.environ["STEVEDORE_PYTHON"], "-c", ALONE, key.partition("@")[0]],
        input=json.dumps(bodies),
        env={
            "PYTHONPATH": json.loads(os.environ["STEVEDORE_ALONE"])[key],
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # the path leads into layers of the image
            **threads,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    together = [
        post(client, f"{place(key)}/{verb}", body).text
        for verb, body in zip(("predict", "score"), bodies, strict=True)
    ]
    assert together == json.loads(done.stdout)


def test_the_newer_version_is_surer(client: httpx.Client) -> None:
    """The two versions of iris are two models: the newer one knows its numbers better."""
    labelled = example("iris", "score")
    newer = post(client, "/models/iris/score", labelled).json()
    older = post(client, "/models/iris/versions/1.0.0/score", labelled).json()
    assert newer["accuracy"] == older["accuracy"] == {"value": 1.0, "direction": "higher"}
    assert "log_loss" not in older
    assert newer["log_loss"]["value"] == pytest.approx(0.0295, abs=5e-5)


def test_requirements_that_conflict_are_apart() -> None:
    """NumPy is there below 2 for wine and from 2 on for iris, each in its own environment."""
    lock = tomllib.loads((LAYOUT / "composition" / "lock.toml").read_text("utf-8"))
    where = {(m["name"], m["version"]): m["environment"] for m in lock["models"]}
    assert len({where["iris", "1.1.0"], where["iris", "1.0.0"]}) == 2
    assert where["wine", "1.0.0"] != where["iris", "1.1.0"]
    majors = {
        model: {
            info.name.split("-")[1].split(".")[0]
            for info in (LAYOUT / "environments" / environment).glob("numpy-*.dist-info")
        }
        for model, environment in where.items()
    }
    assert majors == {("iris", "1.1.0"): {"2"}, ("iris", "1.0.0"): {"2"}, ("wine", "1.0.0"): {"1"}}

"""Containers that never outlive their test, and what is expected of them."""

import json
import os
import subprocess
import tarfile
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from image_under_test import ALONE, IMAGE, READY_LIMIT_S, Container, StartContainer, engine

PREDICT_ALONE = """
import sys
from stevedore_core.calls import predict
from stevedore_core.discovery import load_model

sys.stdout.buffer.write(predict(load_model(sys.argv[1]), sys.stdin.buffer.read()))
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what puts an image under stress, unless tests are chosen: it takes as long again.

    It is the server's code that stands it or does not, and that is the same in each composition.
    """
    if not (config.getoption("markexpr") or config.getoption("keyword")):
        config.hook.pytest_deselected(items=[i for i in items if i.get_closest_marker("stress")])
        items[:] = [item for item in items if not item.get_closest_marker("stress")]


@pytest.fixture(scope="session")
def lock() -> dict[str, object]:
    """The composition's lock, as its file has it."""
    path = Path(os.environ["STEVEDORE_COMPOSITION"]) / "lock.toml"
    return tomllib.loads(path.read_text("utf-8"))


@pytest.fixture
def start_container(lock: dict[str, object]) -> Iterator[StartContainer]:
    """Start containers of the image with the flags that a test is about."""
    with _containers(lock) as start:
        yield start


@pytest.fixture(scope="session")
def container(lock: dict[str, object]) -> Iterator[Container]:
    """One container for all tests that only ask; its port is published."""
    with _containers(lock) as start:
        yield start("--publish=127.0.0.1::8000")


@contextmanager
def _containers(lock: dict[str, object]) -> Iterator[StartContainer]:
    """Return what starts containers; they are removed in the end."""
    names: list[str] = []

    def start(*flags: str, limit_s: float = READY_LIMIT_S) -> Container:
        names.append(f"stevedore-test-{uuid.uuid4()}")
        engine("run", "--detach", "--name", names[-1], *flags, IMAGE)
        container = Container(name=names[-1], python=str(lock["python"]))
        container.await_ready(limit_s)
        return container

    try:
        yield start
    finally:
        for name in names:
            engine("rm", "--force", name, check=False)


@pytest.fixture(scope="session")
def payloads() -> dict[str, str]:
    """The packaged example payload of every model, by the keys that reports have."""
    found = {}
    for model, path in ALONE.items():
        package = f"stevedore_model_{model.partition('@')[0].replace('-', '_')}"
        example = Path(path.split(os.pathsep)[0]) / package / "examples" / "predict.json"
        found[model] = example.read_text("utf-8")
    return found


@pytest.fixture(scope="session")
def predictions(payloads: dict[str, str]) -> dict[str, str]:
    """What every model answers alone, outside of any container."""
    return {
        model: subprocess.run(
            [os.environ["STEVEDORE_PYTHON"], "-c", PREDICT_ALONE, model.partition("@")[0]],
            input=payload,
            env={
                "PYTHONPATH": ALONE[model],
                "PYTHONSAFEPATH": "1",
                "PYTHONDONTWRITEBYTECODE": "1",  # the path leads into layers of the image
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for model, payload in payloads.items()
    }


@pytest.fixture(scope="session")
def layers() -> Iterator[list[Path]]:
    """The tars of the image's own layers, without the base's."""
    labels = json.loads(
        engine("image", "inspect", "--format", "{{json .Config.Labels}}", IMAGE).stdout
    )
    base = labels["org.opencontainers.image.base.digest"]
    printed = engine("image", "inspect", "--format", "{{json .RootFS.Layers}}", base).stdout
    with tempfile.TemporaryDirectory() as room:
        engine("save", "--output", f"{room}/image.tar", IMAGE)
        with tarfile.open(f"{room}/image.tar") as archive:
            archive.extractall(room, filter="data")
        [manifest] = json.loads((Path(room) / "manifest.json").read_text("utf-8"))
        own = manifest["Layers"][len(json.loads(printed)) :]
        yield [Path(room) / name for name in own]

"""An original `model.py` becomes model packages that pass their tests and are served."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Final

import pytest

from stevedore_build.processes import uv_program

ROOT: Final = Path(__file__).parents[2]
ORIGINAL: Final = Path(__file__).parent / "original" / "service" / "model" / "model.py"
NEEDS: Final = ("lightgbm==4.7.0", "scikit-learn==1.9.1", "skops==0.16.0", "xgboost-cpu==3.2.0")
NAMES: Final = ("flowers", "boosted", "progress", "leaves")
LIMIT_S: Final = 120
STEVEDORE: Final = (sys.executable, "-m", "stevedore_build")


def run(*command: str, cwd: Path) -> str:
    """Return what a command prints that succeeds."""
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    said = f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, said
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import the original into a clone, by a Python that has what the original needs."""
    room = tmp_path_factory.mktemp("import")
    run("git", "clone", "--quiet", str(ROOT), str(room / "clone"), cwd=room)
    run(uv_program(), "venv", "--quiet", "--python", "3.11", "author", cwd=room)
    python = str(room / "author" / "bin" / "python")
    run(uv_program(), "pip", "install", "--quiet", "--python", python, *NEEDS, cwd=room)
    command = ["import-model", str(ORIGINAL), "--python", python]
    printed = run(*STEVEDORE, *command, cwd=room / "clone")
    assert printed.split() == list(NAMES)
    return room / "clone"


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_its_tests(clone: Path, name: str) -> None:
    """The contract holds, and it answers as it did when it was fitted."""
    run(*STEVEDORE, "test-model", name, "--python", sys.executable, cwd=clone)


def test_it_is_served(clone: Path) -> None:
    """A caller gets the prediction that the fitted model gave."""
    place = clone / "models" / "flowers"
    example = place / "src" / "stevedore_model_flowers" / "examples" / "predict.json"
    with socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    with served(clone, port):
        answer = ask(port, "POST", "/models/flowers/predict", example.read_text("utf-8"))
    assert answer == json.loads((place / "tests" / "answer.json").read_text("utf-8"))


def test_style_and_types_are_left_to_its_author(clone: Path) -> None:
    """What was copied is not checked, and what was written around it passes."""
    models = [f"models/{name}" for name in NAMES]
    run(sys.executable, "-m", "mypy", "--ignore-missing-imports", models[0], cwd=clone)
    for name in NAMES:
        (code,) = (clone / "models" / name).glob("src/*/__init__.py")
        assert max(map(len, code.read_text("utf-8").splitlines())) <= 100


@contextmanager
def served(directory: Path, port: int) -> Iterator[None]:
    """Serve the model `flowers` meanwhile, once it is ready."""
    process = subprocess.Popen(
        [*STEVEDORE, "serve", "--model", "flowers", "--port", str(port)],
        cwd=directory,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + LIMIT_S
    try:
        while not is_ready(port):
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def is_ready(port: int) -> bool:
    """Tell whether the server says that it is ready."""
    try:
        return ask(port, "GET", "/readyz") == "READY"
    except OSError:
        return False


def ask(port: int, method: str, path: str, body: str | None = None) -> object:
    """Return the body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()

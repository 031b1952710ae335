"""The way in without this repository: its wheels, an empty directory, and the README's commands."""

import http.client
import json
import os
import shutil
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

from stevedore_build.store import Store
from stevedore_build.wheels.building import build_wheels
from stevedore_build.workspace import Workspace

ROOT: Final = Path(__file__).parents[2]
ENGINES: Final = os.environ.get("STEVEDORE_ENGINES", "").split()
LIMIT_S: Final = 300
AUTHOR: Final = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "tests"), ("EMAIL", "tests@tests.invalid"))
}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start a workspace far from this repository, with the wheels that it builds."""
    room = tmp_path_factory.mktemp("start")
    here = Workspace(root=ROOT)
    wheels = build_wheels(here.packages(), workspace=here, store=Store(root=room / "store"))
    (room / "wheels").mkdir()
    for wheel in wheels.values():
        shutil.copy(wheel.path, room / "wheels")
    init = ["-m", "stevedore_build", "init", "models", "--wheels", str(room / "wheels")]
    run(sys.executable, *init, cwd=room)
    return room / "models"


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Return what a command prints that succeeds."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **AUTHOR, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, said
    return done.stdout


def test_all_is_committed_and_locked(started: Path) -> None:
    """Nothing of this repository is in it, and there is nothing left to do."""
    assert run("git", "status", "--porcelain", cwd=started) == ""
    assert (started / "compositions/example/lock.toml").is_file()
    assert not (started / "packages").exists()


def test_doctor(started: Path) -> None:
    """There the doctor finds every lock fresh, and tells nothing to be missing."""
    lines = run("make", "doctor", cwd=started).splitlines()
    assert "ok       lock of example: fresh" in lines
    assert not [line for line in lines if line.startswith("missing")]


def test_make_serve(started: Path) -> None:
    """`make serve` answers."""
    port = free_port()
    with served(started, port):
        assert predicted(port) == pytest.approx([0.9, 20.8], abs=0.1)


def test_make_lint(started: Path) -> None:
    """What was written passes its own checks of style and types."""
    run("make", "lint", cwd=started)


def test_make_test(started: Path) -> None:
    """Its model, its composition and, where there is an engine, its image pass their tests."""
    run("make", "test", cwd=started, ENGINE="" if ENGINES else "none")


def test_make_compose_and_run(started: Path) -> None:
    """The tested image is built and answers."""
    if not ENGINES:
        pytest.skip("`STEVEDORE_ENGINES` names no container engine")
    port = free_port()
    engine = {"ENGINE": ENGINES[0]}
    composed = run("make", "compose", cwd=started, **engine)
    reference = composed.splitlines()[-1]
    assert reference.endswith("example:0.1.0")
    try:
        run("make", "run", f"PORT={port}", cwd=started, **engine)
        assert predicted(port) == pytest.approx([0.9, 20.8], abs=0.1)
    finally:
        run("make", "stop", cwd=started, **engine)
        for name in ENGINES:
            subprocess.run([name, "rmi", reference], capture_output=True, check=False)


def test_make_new_model(started: Path) -> None:
    """A model of one's own is trained and tested there, with core from its wheel."""
    run("make", "new-model", "NAME=churn", "FRAMEWORK=python", cwd=started)
    run("make", "test-model", "NAME=churn", cwd=started)


def test_own_pins_are_kept(started: Path) -> None:
    """`make lock-tools` pins the same wheels again."""
    before = (started / "requirements/stevedore.txt").read_text("utf-8")
    run("make", "lock-tools", cwd=started)
    assert (started / "requirements/stevedore.txt").read_text("utf-8") == before


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        return port


def predicted(port: int) -> object:
    """Return what the example predicts for 0 and 10, once it is ready."""
    give_up = time.monotonic() + LIMIT_S
    while True:
        try:
            status, _ = ask(port, "GET", "/readyz")
            if status == http.HTTPStatus.OK:
                break
        except OSError:
            pass
        assert time.monotonic() < give_up
        time.sleep(0.1)
    status, answer = ask(port, "POST", "/models/line/predict", "[0, 10]")
    assert status == http.HTTPStatus.OK
    return answer


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, object]:
    """Return the status and the body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextmanager
def served(directory: Path, port: int) -> Iterator[None]:
    """Run `make serve` meanwhile."""
    with (directory.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "serve", f"PORT={port}"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)

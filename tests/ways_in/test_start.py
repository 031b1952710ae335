"""The way in without this repository: its wheels, an empty directory, and the README's commands."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from newcomer import ROOT, STEVEDORE, ask, await_ready, free_port, run, served

from stevedore_build.store import Store
from stevedore_build.wheels.building import build_wheels
from stevedore_build.workspace import Workspace

ENGINES: Final = os.environ.get("STEVEDORE_ENGINES", "").split()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start a workspace far from this repository, with the wheels that it builds."""
    room = tmp_path_factory.mktemp("start")
    here = Workspace(root=ROOT)
    wheels = build_wheels(here.packages(), workspace=here, store=Store(root=room / "store"))
    (room / "wheels").mkdir()
    for wheel in wheels.values():
        shutil.copy(wheel.path, room / "wheels")
    run(*STEVEDORE, "init", "models", "--wheels", str(room / "wheels"), cwd=room)
    return room / "models"


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
    with served("make", "serve", f"PORT={port}", cwd=started, port=port):
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


def predicted(port: int) -> object:
    """Return what the example predicts for 0 and 10, once it is ready."""
    await_ready(port)
    status, answer = ask(port, "POST", "/models/line/predict", "[0, 10]")
    assert status == 200
    return answer

"""Engines are found, and said plainly not to be."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from stevedore_build.errors import EngineAbsent, EngineFailed
from stevedore_build.images.engines import COLIMA, DOCKER, ENGINES, PODMAN, Engine, find_engine

Program = Callable[[str], Engine]


@pytest.fixture
def engine_saying(tmp_path: Path) -> Program:
    """Make an engine whose program is a shell script."""

    def make(script: str) -> Engine:
        program = tmp_path / "engine"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return replace(DOCKER, command=(str(program),))

    return make


def failing_but(*working: Engine) -> Callable[[Engine], str | None]:
    """Return a judgement under which only these engines work."""
    return lambda engine: None if engine in working else "not installed"


@pytest.mark.parametrize(
    ("wanted", "working", "found"),
    [
        ("", ENGINES, PODMAN),
        ("", (DOCKER, COLIMA), DOCKER),
        ("", (COLIMA,), COLIMA),
        ("docker", ENGINES, DOCKER),
        ("colima", ENGINES, COLIMA),
        ("none", (), None),
    ],
)
def test_first_that_works(wanted: str, working: tuple[Engine, ...], found: Engine | None) -> None:
    """The wanted engine is taken, else the first that works, else none is asked for."""
    assert find_engine(wanted, failure=failing_but(*working)) == found


def test_no_engine() -> None:
    """One sentence says what was tried, why each failed, and what to do."""
    with pytest.raises(EngineAbsent) as absent:
        find_engine(failure=failing_but())
    assert str(absent.value) == (
        "no container engine works here: tried `podman` (not installed), `docker` (not "
        "installed), `colima` (not installed); install podman (on Debian `apt-get install "
        "podman`), start docker, or set `ENGINE=none` to write the build context only"
    )


def test_wanted_engine_is_not_replaced() -> None:
    """Who asks for docker does not get podman."""
    with pytest.raises(EngineAbsent, match=r"tried `docker` \(not installed\); install"):
        find_engine("docker", failure=failing_but(PODMAN))


def test_unknown_engine() -> None:
    """A word that is no engine names the variable and the choices."""
    with pytest.raises(EngineAbsent) as absent:
        find_engine("dokcer")
    assert str(absent.value) == (
        "`ENGINE`: expected `podman`, `docker`, `colima` or `none`, found 'dokcer'"
    )


def test_not_installed() -> None:
    """A program that is nowhere is not installed."""
    assert replace(DOCKER, command=("no-such-engine",)).failure() == "not installed"


def test_daemon_is_down(engine_saying: Program) -> None:
    """What the engine says last on its error output is passed on."""
    engine = engine_saying("echo DEPRECATED: old >&2; echo Cannot connect. >&2; exit 1")
    assert engine.failure() == "installed, but broken: Cannot connect."


def test_works(engine_saying: Program) -> None:
    """An engine that answers has no failure."""
    assert engine_saying("echo 1.2.3 --iidfile").failure() is None


SHIMS = {
    "nothing": ({}, ("not installed", "not installed", "not installed")),
    "docker without its daemon": (
        {"docker": "echo 'Cannot connect to the Docker daemon. Is it running?' >&2; exit 1"},
        (
            "not installed",
            "installed, but broken: Cannot connect to the Docker daemon. Is it running?",
            "installed, but broken: Cannot connect to the Docker daemon. Is it running?",
        ),
    ),
    "podman too old": (
        {"podman": "[ $1 = info ] || echo --iidfile --format"},
        ("installed, but too old: its `build` lacks `--timestamp`", *["not installed"] * 2),
    ),
    "podman without ids": (
        {"podman": "echo 'level=error msg=\"no subuid ranges found for user\"' >&2"},
        (
            (
                "installed, but it may not use more than one user id; run `sudo usermod "
                "--add-subuids 100000-165535 --add-subgids 100000-165535 $USER` and `podman system "
                "migrate`"
            ),
            *["not installed"] * 2,
        ),
    ),
    "podman hangs": (
        {"podman": "exec /bin/sleep 60"},
        ("installed, but did not answer within 1 s", *["not installed"] * 2),
    ),
}
"""What programs there are and what they do, and what is said of podman, docker and Colima."""


@pytest.fixture
def message_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return what is said where only these programs are on the path; empty if an engine works."""
    monkeypatch.setattr("stevedore_build.images.engines._PROBE_LIMIT_S", 1.0)

    def find(case: str) -> str:
        place = tmp_path / case
        place.mkdir()
        for name, script in SHIMS[case][0].items():
            (place / name).write_text(f"#!/bin/sh\n{script}\n")
            (place / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(place))
        try:
            find_engine()
        except EngineAbsent as error:
            return str(error)
        return ""

    return find


@pytest.mark.fault("G5")
def test_every_engine_fails(
    message_with: Callable[[str], str], figure: Callable[[str], None]
) -> None:
    """One message names every engine that was tried, why it cannot be used, and the fix."""
    said = {case: message_with(case) for case in SHIMS}
    expected = {
        case: "no container engine works here: tried "
        + ", ".join(f"`{e.name}` ({r})" for e, r in zip(ENGINES, reasons, strict=True))
        + "; install podman (on Debian `apt-get install podman`), start docker, or set "
        "`ENGINE=none` to write the build context only"
        for case, (_, reasons) in SHIMS.items()
    }
    figure(f"{sum(said[case] == expected[case] for case in SHIMS)} of {len(SHIMS)} messages")
    assert said == expected


@pytest.mark.control("G5")
def test_an_engine_that_is_only_looked_for(
    message_with: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judgement by the program's mere presence says nothing but of absent programs."""

    def failure(engine: Engine) -> str | None:
        return None if shutil.which(engine.command[0]) else "not installed"

    by_presence = partial(find_engine, failure=failure)
    monkeypatch.setattr(sys.modules[__name__], "find_engine", by_presence)
    assert [case for case in SHIMS if message_with(case)] == ["nothing"]


def test_failed_call(engine_saying: Program) -> None:
    """A failed call names the command and the engine's own words."""
    engine = engine_saying("echo no such image >&2; exit 1")
    with pytest.raises(EngineFailed) as failed:
        engine.run("rmi", "x")
    assert str(failed.value) == f"`{engine.command[0]} rmi x` failed: no such image"


def test_silent_failure(engine_saying: Program) -> None:
    """An engine that says nothing at least has an exit code."""
    engine = engine_saying("exit 125")
    with pytest.raises(EngineFailed, match=r"failed: exit code 125, and no word why$"):
        engine.run("build")


def test_call_that_hangs(engine_saying: Program) -> None:
    """A call with a limit ends with it."""
    with pytest.raises(EngineFailed, match=r"failed: no answer within 0 s$"):
        engine_saying("exec sleep 60").run("pull", "x", timeout_s=0.2)


def test_interrupt_waits_for_the_engine(tmp_path: Path) -> None:
    """Ctrl-C reaches us and not the engine, which ends what it began: then nothing is left over."""
    ended = tmp_path / "ended"
    program = tmp_path / "engine"
    program.write_text(f"#!/bin/sh\necho began >{tmp_path}/began; sleep 1; echo ended >{ended}\n")
    program.chmod(0o755)
    code = (
        "from dataclasses import replace; from stevedore_build.images.engines import DOCKER\n"
        f"replace(DOCKER, command=({str(program)!r},)).run('build')"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    os.killpg(caller.pid, signal.SIGINT)
    assert caller.wait(timeout=20) != 0
    assert ended.read_text() == "ended\n"


def test_killed_caller(tmp_path: Path) -> None:
    """Whoever calls may be killed: what the engine still says does not end it halfway."""
    ended = tmp_path / "ended"
    program = tmp_path / "engine"
    program.write_text(
        f"#!/bin/sh\necho began >{tmp_path}/began; sleep 1; echo word; echo ended >{ended}\n"
    )
    program.chmod(0o755)
    code = (
        "from dataclasses import replace; from stevedore_build.images.engines import DOCKER\n"
        f"replace(DOCKER, command=({str(program)!r},)).run('build')"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    os.killpg(caller.pid, signal.SIGKILL)
    caller.wait()
    give_up = time.monotonic() + 20
    while not ended.exists():
        assert time.monotonic() < give_up, "the engine was ended halfway"
        time.sleep(0.05)

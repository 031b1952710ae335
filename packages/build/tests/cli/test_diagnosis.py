"""What `ml-stevedore doctor` finds: each finding is brought about."""

import fcntl
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.diagnosis import Finding, diagnose
from stevedore_build.cli.program import main
from stevedore_build.images.engines import DOCKER, Engine
from stevedore_build.workspace import Workspace

ABSENT = replace(DOCKER, command=("no-such-engine",))


def found(
    about: str,
    workspace: Workspace | None = None,
    *,
    engines: Sequence[Engine] = (ABSENT,),
    python: str = "python3",
    room_bytes: int = 0,
) -> Finding:
    """Return the one finding about something."""
    findings = diagnose(workspace, engines=engines, python=python, room_bytes=room_bytes)
    (finding,) = [finding for finding in findings if finding.about == about]
    return finding


def program(directory: Path, name: str, script: str) -> Path:
    """Write a program that is a shell script."""
    tiny.write(directory / name, f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)
    return directory / name


@pytest.fixture
def locked(workspace: Workspace, index: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose only composition is locked, and all of it committed."""
    assert index.is_dir()
    monkeypatch.chdir(workspace.root)
    assert main(["lock", "pair"]) == 0
    tiny.commit(workspace.root)
    return workspace


def test_all_is_well(locked: Workspace) -> None:
    """Where nothing is missing, every line says so, and what was found."""
    findings = list(diagnose(locked, engines=(), room_bytes=0))
    states = {finding.about: finding.state for finding in findings}
    assert states == {
        "python": "ok",
        "make": "ok",
        "git": "ok",
        "disk": "ok",
        "engine": "warn",
        "python 3.11": "ok",
        "drafts": "ok",
        "history": "ok",
        "lock of pair": "ok",
    }
    assert not [finding for finding in findings if finding.state == "ok" and finding.mend]


@pytest.mark.parametrize("name", ["make", "git"])
def test_program_is_absent(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without which nothing works is missing, and the line says how to get it."""
    assert found(name).state == "ok"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found(name).state == "missing"
    assert found(name).mend.endswith(f": install it (Debian: `apt-get install {name}`)")


def test_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python that make starts is looked for, not the one that runs this."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert str(found("python")) == (
        "missing  python: no `python3`; install Python 3.11 or newer with venv (Debian: `apt-get "
        "install python3 python3-venv`)"
    )


def test_python_without_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot make an environment is no use; the line says why."""
    said = "ModuleNotFoundError: No module named 'ensurepip'"
    place = program(tmp_path, "python3", f'echo "{said}" >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found("python").found == f"`{place}` is older than 3.11 or lacks venv: {said}"


def test_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room is a warning, with how much there is and how much is needed."""
    monkeypatch.chdir(tmp_path)
    finding = found("disk", room_bytes=10**18)
    assert finding.state == "warn"
    assert finding.found.endswith(f" free for this directory, `{tmp_path}`")
    assert finding.mend == "free some: building needs up to 1.0 EB"


def test_no_engine() -> None:
    """Why each engine does not work is told; nothing but images needs one."""
    assert str(found("engine")) == (
        "warn     engine: none works: tried `docker` (not installed); images need one, serving and "
        "testing do not: install podman (Debian: `apt-get install podman`) or start docker"
    )


def test_engine_and_its_room(tmp_path: Path) -> None:
    """The first engine that works is named, and the disk that its images are on is looked at."""
    script = (
        f'case "$1" in info) echo {tmp_path} ;; --version) echo Fake 1.2 ;; *) echo --iidfile; esac'
    )
    engine = replace(DOCKER, command=(str(program(tmp_path, "fake", script)),))
    assert found("engine", engines=(ABSENT, engine)).found == "`docker`: Fake 1.2"
    finding = found("engine disk", engines=(ABSENT, engine), room_bytes=10**18)
    assert finding.state == "warn"
    assert finding.found.endswith(f" free for images of docker, `{tmp_path}`")


def test_engine_that_does_not_say_where(tmp_path: Path) -> None:
    """Not knowing where images are is told, and stops nothing."""
    script = 'case "$1" in info) echo broken >&2; exit 1 ;; *) echo --iidfile; esac'
    engine = replace(DOCKER, command=(str(program(tmp_path, "fake", script)),))
    assert found("engine disk", engines=(engine,)).found.endswith("` failed: broken")


def test_python_of_the_image(workspace: Workspace) -> None:
    """The Python that a composition names is looked for, and none is fetched."""
    manifest = workspace.composition("pair") / "composition.toml"
    manifest.write_text(manifest.read_text().replace('"3.11"', '"3.99"'))
    assert str(found("python 3.99", workspace)) == (
        "warn     python 3.99: not on this machine, and compositions run on it; uv fetches it when "
        "it is needed, or install it (Debian: `apt-get install python3.99 python3.99-venv`)"
    )


def test_drafts(workspace: Workspace) -> None:
    """What a killed command left is counted; what a running one holds is not."""
    for name in ("draft-held", "draft-left"):
        tiny.write(workspace.store.drafts / name / "file", "12345")
    held = os.open(workspace.store.drafts / "draft-held", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    finding = found("drafts", workspace)
    os.close(held)
    assert (finding.state, finding.found) == (
        "warn",
        "1 with 5 bytes left behind by killed commands",
    )


def test_shallow_clone(workspace: Workspace, tmp_path: Path) -> None:
    """A clone without its history is told, and how to get it."""
    tiny.commit(workspace.root)
    tiny.write(workspace.root / "more", "")
    tiny.commit(workspace.root)
    clone = Workspace(root=tmp_path / "clone")
    source = workspace.root.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth=1", source, str(clone.root)], check=True)
    assert str(found("history", clone)) == (
        "warn     history: this clone is shallow, and older versions of models are built from "
        "history; run `git fetch --unshallow`"
    )
    subprocess.run(["git", "fetch", "-q", "--unshallow"], cwd=clone.root, check=True)
    assert found("history", clone).state == "ok"


def test_nothing_is_committed(workspace: Workspace) -> None:
    """A repository without a commit has no history."""
    assert str(found("history", workspace)) == "warn     history: nothing is committed; commit it"


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git's directory no wheel can be built."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    finding = found("history", Workspace(root=tmp_path))
    assert (finding.state, finding.mend) == (
        "missing",
        "wheels are built from the files that git tracks: `git init`",
    )


def test_clock(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is behind what was committed is wrong."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2090-01-01T00:00:00Z")
    tiny.commit(workspace.root)
    finding = found("clock", workspace)
    assert (finding.state, finding.mend) == (
        "warn",
        "set the clock: certificates do not hold on a wrong one",
    )


def test_stale_lock(locked: Workspace) -> None:
    """A lock that is behind says why, and what to run."""
    tiny.write(locked.root / "models/iris/src/stevedore_model_iris/more.txt", "")
    tiny.track(locked.root)
    assert str(found("lock of pair", locked)) == (
        "warn     lock of pair: the lock of `pair` is not what would be locked now: "
        "`stevedore-model-iris` 1.0.0 changed; run `make lock NAME=pair` and review what it changes"
    )


def test_no_lock(workspace: Workspace) -> None:
    """A composition that was never locked says so."""
    assert str(found("lock of pair", workspace)) == (
        "warn     lock of pair: `pair` is not locked yet; run `make lock NAME=pair`"
    )


def test_broken_manifest(locked: Workspace) -> None:
    """A manifest that cannot be read keeps the composition from everything."""
    manifest = locked.composition("pair") / "composition.toml"
    manifest.write_text("name = 1\n")
    finding = found("lock of pair", locked)
    assert finding.state == "missing"
    assert finding.found.startswith(f"{manifest}: ")


def test_no_composition(workspace: Workspace) -> None:
    """A workspace without a composition is told what to write."""
    (workspace.composition("pair") / "composition.toml").unlink()
    assert found("compositions", workspace).state == "missing"


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside of a workspace the machine is looked at; the status tells whether all is there."""
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0].split(maxsplit=1)[1] for line in lines][:4] == [
        "python",
        "make",
        "git",
        "disk",
    ]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    assert ended.value.code == 1
    states = {entry["about"]: entry["state"] for entry in json.loads(capsys.readouterr().out)}
    assert (states["git"], states["engine"]) == ("missing", "warn")

"""What is served: the lock where it is fresh, the workspace where it moved on."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from socket import socket

import pytest
import tiny

from stevedore_build.errors import LockStale
from stevedore_build.layouts.serving import composition_now, fresh, model_alone, serving_command
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.signing import KEY_VARIABLE
from stevedore_build.wheels.pins import INDEX_VARIABLE, wheels_of
from stevedore_build.workspace import CACHE_VARIABLE, Workspace
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

pytestmark = pytest.mark.usefixtures("index")


def lock(workspace: Workspace) -> Lock:
    """Lock the composition `pair` and write it."""
    directory = workspace.composition("pair")
    manifest = Manifest.parse(directory / "composition.toml")
    locked = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    locked.write(directory)
    return locked


def test_fresh(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A fresh lock is served as it is, without a word."""
    locked = lock(workspace)
    capsys.readouterr()
    assert composition_now("pair", workspace=workspace).lock == locked
    assert fresh("pair", workspace=workspace)[1] == locked
    assert capsys.readouterr().err == ""


def test_workspace_moved_on(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """What changed is served, said, and not written into the committed lock."""
    locked = lock(workspace)
    tiny.write(workspace.root / "packages/core/src/stevedore_core/more.py", "")
    tiny.track(workspace.root)
    capsys.readouterr()
    served = composition_now("pair", workspace=workspace)
    assert served.lock.environments == locked.environments
    assert served.lock.wheels[0].sha256 != locked.wheels[0].sha256
    assert Lock.read(workspace.composition("pair")) == locked
    assert (
        "`pair` is used as the workspace has it, not as it is locked: `ml-py-stevedore-core` "
        "0.1.0 changed; `make lock NAME=pair` locks it\n"
    ) in capsys.readouterr().err
    with pytest.raises(LockStale):
        fresh("pair", workspace=workspace)


def test_never_locked(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A composition without a lock can be served too; testing it strictly cannot."""
    served = composition_now("pair", workspace=workspace)
    assert [model.name for model in served.lock.models] == ["iris", "digits"]
    file = workspace.composition("pair") / "lock.toml"
    assert f"not locked: {file}: not there; `make lock` writes it\n" in capsys.readouterr().err
    with pytest.raises(LockStale) as caught:
        fresh("pair", workspace=workspace)
    assert str(caught.value) == "`pair` is not locked yet; run `make lock NAME=pair`"


def test_model_alone(workspace: Workspace) -> None:
    """A model needs no manifest: it is locked aside, and the second time as the first."""
    served = model_alone("iris", workspace=workspace)
    assert [model.name for model in served.lock.models] == ["iris"]
    assert [environment.name for environment in served.lock.environments] == ["default", "front"]
    assert Lock.read(workspace.store.locks / "models" / "iris") == served.lock
    assert model_alone("iris", workspace=workspace) == served


def test_model_and_composition_of_one_name(workspace: Workspace) -> None:
    """A composition may bear the name of a model: their locks aside do not meet."""
    (workspace.root / "compositions" / "pair").rename(workspace.root / "compositions" / "iris")
    manifest = workspace.root / "compositions" / "iris" / "composition.toml"
    manifest.write_text(manifest.read_text().replace('"pair"', '"iris"'))
    assert len(composition_now("iris", workspace=workspace).lock.models) == 2
    assert len(model_alone("iris", workspace=workspace).lock.models) == 1
    assert len(composition_now("iris", workspace=workspace).lock.models) == 2


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gets the front's path and a safe one, and no variable that it would refuse."""
    names = (CACHE_VARIABLE, INDEX_VARIABLE, KEY_VARIABLE, "STEVEDORE_ENGINES")
    others = dict.fromkeys(names, "x")
    monkeypatch.setattr(os, "environ", {"HOME": "/h", **others})
    layout = Layout(root=tmp_path)
    python = Path("/p/bin/python")
    command, variables = serving_command(layout, python=python, host="127.0.0.1", port=1)
    assert command == [
        "/p/bin/python",
        *("-S", "-m", "stevedore_api", "--layout", str(tmp_path)),
        *("--host", "127.0.0.1", "--port", "1"),
    ]
    assert variables == {
        "HOME": "/h",
        "PYTHONPATH": ":".join(str(path) for path in layout.front_path()),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def test_signals_arrive(workspace: Workspace) -> None:
    """The command becomes the server: what is sent to the one reaches the other."""
    lock(workspace)
    with socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    command = [sys.executable, "-m", "stevedore_build", "serve", "pair", "--port", str(port)]
    with subprocess.Popen(command, cwd=workspace.root, stderr=subprocess.PIPE) as process:
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez") as answer:
                    assert answer.read() == b'"LIVE"'
                break
            except urllib.error.URLError:
                time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=5) == -15

"""A lock needs no tool of ours: pip installs an environment's file, and refuses another content."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.workspace import Workspace


@pytest.fixture
def pip(tmp_path: Path) -> list[str]:
    """The pip that comes with Python, in a virtual environment of its own."""
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    return [str(place / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture
def locked(workspace: Workspace, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the environment `default`, which holds two distributions."""
    tiny.write_wheel(index, "numlib", "1.5")
    tiny.write_wheel(index, "plotlib", requires=["numlib>=1"])
    tiny.add_model(workspace.root, "iris", requires=["plotlib"])
    tiny.track(workspace.root)
    monkeypatch.chdir(workspace.root)
    assert main(["lock", "pair"]) == 0
    return workspace.composition("pair") / "lock" / "default.txt"


def install(pip: list[str], locked: Path, index: Path) -> subprocess.CompletedProcess[str]:
    """Install a file with hashes required, from nowhere but a directory of wheels."""
    command = [*pip, "install", "--no-index", "--find-links", str(index), "--require-hashes"]
    return subprocess.run(
        [*command, "-r", str(locked)], capture_output=True, text=True, check=False
    )


def test_installs(pip: list[str], locked: Path, index: Path) -> None:
    """What pip installs from the file is what the lock says, no more and no less."""
    done = install(pip, locked, index)
    assert done.returncode == 0, done.stderr
    listed = [*pip, "freeze", "--exclude", "pip", "--exclude", "setuptools"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    assert found.splitlines() == ["numlib==1.5", "plotlib==1.0"]


def test_other_content(pip: list[str], locked: Path, index: Path) -> None:
    """The same name and version with another content is refused, and nothing is installed."""
    tiny.write_wheel(index, "numlib", "1.5", files={"numlib/__init__.py": "changed = True\n"})
    done = install(pip, locked, index)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    found = subprocess.run([*pip, "list"], capture_output=True, text=True, check=True).stdout
    assert "numlib" not in found
    assert "plotlib" not in found

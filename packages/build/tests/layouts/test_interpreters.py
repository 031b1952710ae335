"""Interpreters without any distribution."""

from pathlib import Path

import pytest

from stevedore_build.errors import ToolFailed
from stevedore_build.layouts import interpreters
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.processes import run
from stevedore_build.store import Store


def test_empty(tmp_path: Path) -> None:
    """Nothing that is installed on the machine can be imported; the version is the full one."""
    interpreter = find_interpreter("3.11", store=Store(root=tmp_path))
    code = (
        "import importlib.metadata, platform; print(platform.python_version(), "
        "[d.name for d in importlib.metadata.distributions()])"
    )
    assert run([str(interpreter.program), "-c", code], env={}) == f"{interpreter.version} []\n"
    assert interpreter.version.startswith("3.11.")


def test_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is looked for."""
    first = find_interpreter("3.11", store=Store(root=tmp_path))
    monkeypatch.setattr(interpreters, "_find", None)
    assert find_interpreter("3.11", store=Store(root=tmp_path)) == first


def test_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no such Python and none can be fetched, the error says what to install."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(ToolFailed) as caught:
        find_interpreter("3.99", store=Store(root=tmp_path))
    assert str(caught.value) == (
        "Python 3.99 is not on this machine and could not be fetched; install it "
        "(Debian: `apt-get install python3.99 python3.99-venv`)"
    )
    assert "Python 3.99 is not on this machine; uv fetches one" in capsys.readouterr().err

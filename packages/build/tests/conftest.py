"""Fixtures: a tiny repository, and an index of tiny wheels in place of the network."""

from pathlib import Path

import pytest
import tiny

from stevedore_build.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A repository with core, api, the models iris and digits, and the composition `pair`."""
    return tiny.make_repository(tmp_path / "repository")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of third-party wheels: all that uv sees. Nothing asks the network."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(directory))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return directory

"""Layouts: layers put where core says they stand."""

from pathlib import Path

import pytest

from stevedore_build.layouts.joining import make_layout
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest


@pytest.mark.usefixtures("index")
def test_layout(workspace: Workspace) -> None:
    """Everything that core's `Layout` names is there, and its lock is the one it was made from."""
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    layout = make_layout(manifest, lock, store=workspace.store)
    paths = (
        *layout.front_path(),
        *layout.worker_path("default", [("iris", "1.0.0"), ("digits", "1.0.0")]),
    )
    assert [path for path in paths if not path.is_dir()] == []
    assert Manifest.parse(layout.manifest) == manifest
    assert Lock.read(layout.composition) == lock
    assert make_layout(manifest, lock, store=workspace.store) == layout


@pytest.mark.usefixtures("index")
def test_model_alone(workspace: Workspace) -> None:
    """The layout of a restricted lock has one model and no front."""
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace)).restrict("iris")
    alone = Manifest.of_model("iris", version="1.0.0", python="3.11")
    layout = make_layout(alone, lock, store=workspace.store)
    found = sorted(str(p.relative_to(layout.root)) for p in layout.root.glob("*/*"))
    assert [name for name in found if not name.startswith("composition/")] == [
        "environments/default",
        "models/iris",
        "own/core",
    ]
    assert all(
        isinstance(path, Path) and path.is_dir()
        for path in layout.worker_path("default", [("iris", "1.0.0")])
    )

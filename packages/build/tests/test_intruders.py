"""Wheels that would run unasked, or put files where they do not belong."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import LayerRefused, WorkspaceInvalid
from stevedore_build.layouts import installed
from stevedore_build.layouts.installed import refuse_clashes
from stevedore_build.layouts.layers import layers_of
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.wheels import building
from stevedore_build.wheels.building import take_wheel
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.manifest import Manifest

IRIS = "stevedore_model_iris"

OURS = {
    "a .pth": f"{IRIS}.pth",
    "a .pth inside": f"{IRIS}/x.pth",
    "a script": f"{IRIS}-1.0.0.data/scripts/python3",
    "data": f"{IRIS}-1.0.0.data/data/etc/passwd",
    "a library": f"{IRIS}-1.0.0.data/purelib/numpy.py",
    "sitecustomize": "sitecustomize.py",
    "another module": "numpy.py",
    "another package": "numpy/__init__.py",
    "core": "stevedore_core/__init__.py",
    "another distribution": "numpy-2.0.0.dist-info/RECORD",
}
"""What a model package may not bring, beside its own package."""

THEIRS = {
    "sitecustomize": "sitecustomize.py",
    "usercustomize": "usercustomize/__init__.py",
    "a module of Python": "json.py",
    "a package of Python": "logging/__init__.py",
    "a compiled module of Python": "math.cpython-311-x86_64-linux-gnu.so",
    "bytecode of sitecustomize": "sitecustomize.pyc",
    "bytecode of a module of Python": "json.pyc",
    "bytecode of a package of Python": "logging/__init__.pyc",
    "a compiled package of Python": "abc/__init__.cpython-311-x86_64-linux-gnu.so",
    "core": "stevedore_core/__init__.py",
    "a model": "stevedore_model_iris.py",
}
"""What a third-party distribution may not bring."""


def is_ours_refused(file: str, place: Path, workspace: Workspace) -> bool:
    """Tell whether a wheel of iris that holds this file is refused by its name."""
    wheel = tiny.write_wheel(
        place,
        IRIS,
        "1.0.0",
        files={f"{IRIS}/__init__.py": "", file: ""},
        entry_points=f"[ml_py_stevedore.models]\niris = {IRIS}:load\n",
    )
    try:
        take_wheel(wheel, model="iris", version="1.0.0", store=workspace.store)
    except WorkspaceInvalid as error:
        return f"its wheel holds `{file}`" in str(error)
    return False


def is_theirs_refused(file: str, place: Path) -> bool:
    """Tell whether a distribution that brings this file is refused by its name."""
    tiny.install(place, tiny.write_wheel(place.parent, "alpha", files={file: ""}))
    try:
        refuse_clashes("environments/default", place)
    except LayerRefused as error:
        return f"`alpha` brings `{file.partition('/')[0]}`" in str(error)
    return False


@pytest.mark.fault("G13")
def test_intruders(workspace: Workspace, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Each is refused, and the message names the file."""
    ours = {name: is_ours_refused(file, tmp_path, workspace) for name, file in OURS.items()}
    theirs = {name: is_theirs_refused(file, tmp_path / name) for name, file in THEIRS.items()}
    figure(
        f"{sum(ours.values())} of {len(ours)} wheels of ours and {sum(theirs.values())} of "
        f"{len(theirs)} others refused; `.pth` and scripts of others left out and shown"
    )
    assert [name for name, refused in ours.items() if not refused] == []
    assert [name for name, refused in theirs.items() if not refused] == []


@pytest.mark.control("G13")
def test_intruders_pass_where_none_is_looked_for(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the two checks nobody notices."""
    monkeypatch.setattr(building, "refuse_foreign_files", lambda *_: None)
    monkeypatch.setattr(installed, "_reserved_names", lambda _: ())
    assert not any(is_ours_refused(file, tmp_path, workspace) for file in OURS.values())
    assert not any(is_theirs_refused(file, tmp_path / name) for name, file in THEIRS.items())


@pytest.mark.fault("G13")
def test_what_is_left_out(
    workspace: Workspace, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A `.pth` and scripts of a third-party distribution do not reach a layer; the rest does."""
    files = {
        "alpha/__init__.py": "",
        "alpha.pth": "import os\n",
        "alpha-1.0.data/scripts/tool": "#!/bin/sh\n",
        "alpha-1.0.data/data/share/alpha.txt": "",
    }
    tiny.write_wheel(index, "alpha", files=files)
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    tiny.track(workspace.root)
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    made = layers_of(manifest, lock, store=workspace.store, platform=LINUX_AMD64, libraries=None)
    left = {path.name for path in made[0].directory.rglob("*") if path.is_file()}
    assert {"__init__.py", "alpha.txt"} < left
    assert not {"alpha.pth", "tool"} & left
    assert "left out `alpha.pth` of a third-party distribution" in capsys.readouterr().err

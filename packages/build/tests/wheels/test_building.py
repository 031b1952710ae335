"""Wheels of our own packages: the same bytes everywhere, and nothing in them that surprises."""

import hashlib
import os
import shutil
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import ToolFailed, WorkspaceInvalid
from stevedore_build.store import Store
from stevedore_build.wheels.building import (
    OwnWheel,
    build_wheels,
    copy_wheel,
    refuse_other_content,
    stored_wheel,
    take_wheel,
)
from stevedore_build.workspace import Workspace
from stevedore_core.lock import LockedWheel


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A repository of which nothing was built before."""
    return tiny.make_repository(tmp_path / "repository")


def build(workspace: Workspace, name: str = "iris") -> OwnWheel:
    """Build the wheel of one model."""
    package = workspace.model(name)
    wheels = build_wheels([package], workspace=workspace, store=workspace.store)
    return wheels[package.distribution]


def refusal(workspace: Workspace) -> str:
    """Return what is said of the model iris when its wheel is refused."""
    with pytest.raises(WorkspaceInvalid) as caught:
        build(workspace)
    return str(caught.value)


def test_metadata(workspace: Workspace) -> None:
    """What the lock needs is read from the wheel, not from the source."""
    wheel = build(workspace)
    assert (wheel.distribution, wheel.version) == ("stevedore-model-iris", "1.0.0")
    assert wheel.requires == ("ml-py-stevedore-core",)
    assert wheel.path.parent.name == wheel.sha256


def test_same_bytes_everywhere(tmp_path: Path) -> None:
    """Neither the directory, nor the umask, nor the age of the files has a say."""
    first = build(tiny.make_repository(tmp_path / "a"))
    umask = os.umask(0o077)
    try:
        other = tiny.make_repository(tmp_path / "somewhere else")
        os.utime(other.root / "models/iris/src/stevedore_model_iris/__init__.py", (1, 1))
        second = build(other)
    finally:
        os.umask(umask)
    assert first.path.read_bytes() == second.path.read_bytes()


def test_entries(workspace: Workspace) -> None:
    """Files are stored as they are, sorted, with one date and one mode."""
    with zipfile.ZipFile(build(workspace).path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert {(e.compress_type, e.date_time, e.external_attr) for e in entries} == {
        (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644 << 16)
    }


def test_one_byte_makes_another_wheel(workspace: Workspace) -> None:
    """The content of the working tree counts, committed or not."""
    before = build(workspace)
    with (workspace.root / "models/iris/src/stevedore_model_iris/__init__.py").open("a") as file:
        file.write("\n")
    assert build(workspace).sha256 != before.sha256


def test_only_changed_packages_are_built(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was built from the same content is used again."""
    both = workspace.models()
    build_wheels(both, workspace=workspace, store=workspace.store)
    # A slow machine has one more line, with the time that it took.
    assert capsys.readouterr().err.splitlines()[0] == "Building wheels of `digits`, `iris` …"
    with (workspace.root / "models/iris/pyproject.toml").open("a") as file:
        file.write("\n")
    build_wheels(both, workspace=workspace, store=workspace.store)
    assert capsys.readouterr().err.splitlines()[0] == "Building wheels of `iris` …"
    build_wheels(both, workspace=workspace, store=workspace.store)
    assert capsys.readouterr().err == ""


def test_a_wheel_that_changes_while_it_is_stored(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is what was hashed, whatever becomes of the file."""
    wheel = tiny.write_wheel(tmp_path, "stevedore_model_iris", "1.0.0")
    replacing = Store.replacing

    def late(store: Store, path: Path) -> AbstractContextManager[Path]:
        wheel.write_bytes(b"")
        return replacing(store, path)

    monkeypatch.setattr(Store, "replacing", late)
    sha256 = copy_wheel(wheel, workspace.store)
    refuse_other_content(workspace.store.wheels / sha256 / wheel.name)


def test_deleted_wheel_is_built_again(workspace: Workspace) -> None:
    """The store may lose anything at any time."""
    before = build(workspace)
    before.path.unlink()
    assert build(workspace) == before
    assert before.path.is_file()


def test_untracked_files_are_left_out(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """What git does not track is not in the wheel, and that is said."""
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/notes.py", "")
    with zipfile.ZipFile(build(workspace).path) as archive:
        assert "stevedore_model_iris/notes.py" not in archive.namelist()
    assert (
        "left out of the wheel, as git does not track it: "
        "`models/iris/src/stevedore_model_iris/notes.py`; `git add` it\n"
    ) in capsys.readouterr().err


def test_nothing_tracked(workspace: Workspace) -> None:
    """A new package must be added to git before it can be built."""
    directory = tiny.add_model(workspace.root, "tulip")
    with pytest.raises(WorkspaceInvalid) as caught:
        build(workspace, "tulip")
    assert str(caught.value) == (
        f"{directory}: git tracks no file of it, and wheels are built from tracked files; "
        "run `git add models/tulip`"
    )


def test_pth(workspace: Workspace) -> None:
    """A `.pth` would run in every process."""
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/x.pth", "import os\n")
    tiny.track(workspace.root)
    assert refusal(workspace) == (
        f"{workspace.root / 'models/iris'}: its wheel holds `stevedore_model_iris/x.pth`; a `.pth` "
        "file runs code in every process, remove it"
    )


def test_foreign_file(workspace: Workspace) -> None:
    """A file outside the package could shadow anybody's."""
    directory = workspace.root / "models/iris"
    tiny.write(directory / "numpy.py", "")
    with (directory / "pyproject.toml").open("a") as file:
        file.write('[tool.hatch.build.targets.wheel.force-include]\n"numpy.py" = "numpy.py"\n')
    tiny.track(workspace.root)
    assert refusal(workspace) == (
        f"{directory}: its wheel holds `numpy.py`, outside of `stevedore_model_iris/`; move it "
        "there or leave it out"
    )


@pytest.mark.parametrize(("entries", "found"), [("", "none"), ('tulip = "x:load"\n', "`tulip`")])
def test_entry_point(workspace: Workspace, entries: str, found: str) -> None:
    """A model package provides the model its folder is named after, and only that."""
    project = workspace.root / "models/iris/pyproject.toml"
    text = project.read_text()
    project.write_text(text.replace('iris = "stevedore_model_iris:load"\n', entries))
    assert refusal(workspace) == (
        f'{project}: `project.entry-points."ml_py_stevedore.models"`: expected exactly one entry, '
        f"`iris`, as the folder is named; found {found}"
    )


def test_other_backend(workspace: Workspace) -> None:
    """A wheel is only built by the backend that its package pins."""
    project = workspace.root / "models/iris/pyproject.toml"
    project.write_text(project.read_text().replace("1.33.0", "1.0.0"))
    with pytest.raises(ToolFailed) as caught:
        build(workspace)
    assert str(caught.value) == (
        f"{project}: pins `hatchling==1.0.0`, and `hatchling==1.33.0` is what "
        "`requirements/tools.txt` installs; make the two agree, then run `make tools`"
    )


def test_broken_package(workspace: Workspace) -> None:
    """What hatchling says is passed on."""
    project = workspace.root / "models/iris/pyproject.toml"
    project.write_text(f"{project.read_text()}[tool.hatch.metadata.hooks.other]\n")
    with pytest.raises(ToolFailed, match="Unknown metadata hook: other"):
        build(workspace)


def test_absent_wheel(workspace: Workspace) -> None:
    """A lock may ask for content that is not here any more."""
    locked = LockedWheel(distribution="ml-py-stevedore-core", version="0.1.0", sha256="a" * 64)
    with pytest.raises(WorkspaceInvalid) as caught:
        stored_wheel(locked, store=workspace.store)
    assert str(caught.value) == (
        f"`ml-py-stevedore-core` 0.1.0 is locked with sha256 `{'a' * 64}`, and this workspace "
        "builds another wheel; run `make lock`, or check out the commit that was locked"
    )


def test_changed_wheel(workspace: Workspace) -> None:
    """What lies in the store is not unpacked once it is no longer what was stored."""
    wheel = build(workspace)
    wheel.path.write_bytes(b"other")
    with pytest.raises(WorkspaceInvalid) as caught:
        refuse_other_content(wheel.path)
    assert str(caught.value) == (
        f"{wheel.path}: expected sha256 `{wheel.sha256}`, found "
        f"`{hashlib.sha256(b'other').hexdigest()}`: the file was changed after it was stored; "
        "remove it, and it is made anew"
    )
    wheel.path.unlink()
    refuse_other_content(build(workspace).path)


def put_large_file(workspace: Workspace, place: str) -> Path:
    """Write a sparse file one byte larger than a wheel may hold, and have git track it."""
    file = workspace.root / "models/iris" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as content:
        content.truncate(50_000_001)
    tiny.track(workspace.root)
    return file


def test_a_file_that_is_too_large(workspace: Workspace) -> None:
    """It is told how it is declared; outside of the package it does not matter."""
    put_large_file(workspace, "notes/large.bin")
    build(workspace)
    file = put_large_file(workspace, "src/stevedore_model_iris/weights/large.bin")
    assert refusal(workspace) == (
        f"{file}: has 50.0 MB; a file of more than 50.0 MB belongs neither in a wheel nor in git: "
        "take it out of git with `git rm --cached`, and record where it is fetched from with "
        "`ml-stevedore declare-weights iris <file> --url https://…`"
    )
    with file.open("r+b") as content:
        content.truncate(50_000_000)
    build(workspace)


def test_a_wheel_with_a_file_that_is_too_large(workspace: Workspace, tmp_path: Path) -> None:
    """One that was built elsewhere may not hold it either."""
    built = build(workspace).path
    wheel = tmp_path / built.name
    name = "stevedore_model_iris/weights/large.bin"
    shutil.copyfile(built, wheel)
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(50_000_001))
    with pytest.raises(WorkspaceInvalid) as caught:
        take_wheel(wheel, model="iris", version="1.0.0", store=workspace.store)
    assert str(caught.value).startswith(f"{wheel}: `{name}`: has 50.0 MB; a file of more than ")


def test_a_record_of_weights_that_is_wrong(workspace: Workspace, tmp_path: Path) -> None:
    """It is told when a wheel is taken, not when somebody wants to fetch."""
    built = build(workspace).path
    wheel = tmp_path / built.name
    shutil.copyfile(built, wheel)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(
            "stevedore_model_iris/weights/weights.toml",
            'created = 2026-01-31T12:00:00Z\n[sha256]\n[[weight]]\nfile = "a"\n',
        )
    with pytest.raises(WorkspaceInvalid) as caught:
        take_wheel(wheel, model="iris", version="1.0.0", store=workspace.store)
    assert str(caught.value) == (
        f"{wheel}: `weights.toml`: `weight`: unknown key; did you mean `weights`?"
    )

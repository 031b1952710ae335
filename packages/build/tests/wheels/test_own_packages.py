"""A workspace without `packages/` pins wheels of core and api, and gets exactly those."""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import IndexFailed, WorkspaceInvalid
from stevedore_build.locks.locking import lock_manifest, refuse_stale
from stevedore_build.wheels.building import OwnWheels
from stevedore_build.wheels.own_packages import OWN_WHEELS
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import OWN_PINS, Workspace
from stevedore_core.manifest import Manifest


class Quiet(SimpleHTTPRequestHandler):
    """Serves a directory and logs nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the library
        """Say nothing."""


def manifest(workspace: Workspace) -> Manifest:
    """Return the manifest of `pair`."""
    return Manifest.parse(workspace.composition("pair") / "composition.toml")


@pytest.fixture
def built(workspace: Workspace) -> OwnWheels:
    """The wheels as the repository builds them."""
    return wheels_of(manifest(workspace), workspace=workspace)


@pytest.fixture
def pinned(workspace: Workspace, built: OwnWheels) -> Workspace:
    """The same workspace without `packages/`: it pins the wheels and keeps them."""
    kept = workspace.root / OWN_WHEELS
    kept.mkdir()
    lines = []
    for wheel in (built.core, built.api):
        shutil.copy(wheel.path, kept)
        lines.append(f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    (workspace.root / OWN_PINS).write_text("".join(lines))
    shutil.rmtree(workspace.root / "packages")
    shutil.rmtree(workspace.store.root)
    tiny.track(workspace.root)
    return workspace


def test_the_same_wheels(pinned: Workspace, built: OwnWheels, index: Path) -> None:
    """They are those that the repository builds, so that a lock is fresh in both."""
    assert not any(index.iterdir())
    found = wheels_of(manifest(pinned), workspace=pinned)
    assert [wheel.sha256 for wheel in found] == [wheel.sha256 for wheel in built]
    refuse_stale(manifest(pinned), lock_manifest(manifest(pinned), built), found)


def test_it_is_a_workspace(pinned: Workspace) -> None:
    """Commands work below the directory that has the pins."""
    assert Workspace.around(pinned.root / "models" / "iris") == pinned


def test_kept_once_taken(pinned: Workspace, built: OwnWheels) -> None:
    """What is in the store needs neither the files nor an index any more."""
    wheels_of(manifest(pinned), workspace=pinned)
    shutil.rmtree(pinned.root / OWN_WHEELS)
    found = wheels_of(manifest(pinned), workspace=pinned)
    assert found.core.sha256 == built.core.sha256


def test_no_pin(pinned: Workspace) -> None:
    """A missing pin is named, and what to do."""
    file = pinned.root / OWN_PINS
    file.write_text(file.read_text().splitlines()[0] + "\n")
    with pytest.raises(WorkspaceInvalid) as caught:
        wheels_of(manifest(pinned), workspace=pinned)
    assert str(caught.value) == (
        f"{file}: expected a pin of `ml-py-stevedore-api`, found none; name it in "
        "`requirements/stevedore.in` and run `make lock-tools`"
    )


def test_other_wheel(pinned: Workspace) -> None:
    """A file that was changed is not taken for the pinned one."""
    kept = pinned.root / OWN_WHEELS
    (core,) = kept.glob("ml_py_stevedore_core-*.whl")
    core.write_bytes(core.read_bytes() + b"\0")
    with pytest.raises(WorkspaceInvalid) as caught:
        wheels_of(manifest(pinned), workspace=pinned)
    assert str(caught.value) == (
        f"{kept}: no wheel in it has the sha256 that `requirements/stevedore.txt` pins for "
        "`ml-py-stevedore-core` 0.1.0; put it there, or run `make lock-tools` to pin what is there"
    )


def test_wheel_of_something_else(pinned: Workspace) -> None:
    """A pinned hash does not make a wheel of another package one of ours."""
    other = tiny.write_wheel(pinned.root / OWN_WHEELS, "other")
    sha256 = hashlib.sha256(other.read_bytes()).hexdigest()
    (pinned.root / OWN_PINS).write_text(f"ml-py-stevedore-core==0.1.0 --hash=sha256:{sha256}\n")
    with pytest.raises(WorkspaceInvalid) as caught:
        wheels_of(manifest(pinned), workspace=pinned)
    assert str(caught.value) == (
        f"{other}: its wheel holds `other/__init__.py`, outside of `stevedore_core/`; move it "
        "there or leave it out"
    )


@pytest.fixture
def published(pinned: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The wheels in a package index on this machine and nowhere else; where it lists them."""
    pages = tmp_path / "published"
    for file in sorted((pinned.root / OWN_WHEELS).glob("*.whl")):
        page = pages / file.name.split("-")[0].replace("_", "-")
        page.mkdir(parents=True)
        shutil.move(file, page)
        (page / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>')
    (pinned.root / OWN_WHEELS).rmdir()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=pages)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/")
        yield pages
        server.shutdown()


@pytest.mark.usefixtures("published")
def test_from_an_index(pinned: Workspace, built: OwnWheels) -> None:
    """Without a directory of wheels the index that uv uses has them."""
    found = wheels_of(manifest(pinned), workspace=pinned)
    assert (found.core.sha256, found.api.sha256) == (built.core.sha256, built.api.sha256)


def test_index_with_another_wheel(pinned: Workspace, published: Path) -> None:
    """What the index has under the name counts only with the pinned hash."""
    (core,) = published.glob("ml-py-stevedore-core/*.whl")
    core.write_bytes(core.read_bytes() + b"\0")
    with pytest.raises(IndexFailed) as caught:
        wheels_of(manifest(pinned), workspace=pinned)
    assert str(caught.value) == (
        "no index has a wheel of `ml-py-stevedore-core` 0.1.0 with the sha256 that "
        "`requirements/stevedore.txt` pins; run `make lock-tools`, and review what it changes"
    )


def test_index_without_it(pinned: Workspace, published: Path) -> None:
    """What no index has is named with what uv says."""
    shutil.rmtree(published / "ml-py-stevedore-core")
    with pytest.raises(IndexFailed, match=r"^`ml-py-stevedore-core` 0\.1\.0 cannot be found: "):
        wheels_of(manifest(pinned), workspace=pinned)


def test_index_that_lists_what_is_not_there(pinned: Workspace, published: Path) -> None:
    """A link to nothing is named."""
    (core,) = published.glob("ml-py-stevedore-core/*.whl")
    link = f"{core.name}#sha256={hashlib.sha256(core.read_bytes()).hexdigest()}"
    (core.parent / "index.html").write_text(
        f'<a href="{link}" data-dist-info-metadata="true">{core.name}</a>'
    )
    tiny.install(core.parent, core)
    shutil.move(next(core.parent.glob("*.dist-info")) / "METADATA", f"{core}.metadata")
    core.unlink()
    with pytest.raises(IndexFailed) as caught:
        wheels_of(manifest(pinned), workspace=pinned)
    assert re.fullmatch(
        r"`ml-py-stevedore-core` 0\.1\.0: an index lists http\S+\.whl, and it is not there; run "
        r"`make lock-tools`, and review what it changes",
        str(caught.value),
    )

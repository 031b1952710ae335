"""Layers become the same tar wherever and whenever they are made."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stevedore_build.errors import LayerRefused
from stevedore_build.images.directories import ImageTar
from stevedore_build.images.tars import read_tar, tar_layer, tar_name
from stevedore_build.layouts.layers import Layer
from stevedore_build.store import Store

LONG_NAME = "n" * 150 + ".py"


def make_layer(directory: Path, *, digest: str = "d1", name: str = "own") -> Layer:
    """Write two files, one of them a program, and an empty directory."""
    (directory / "package" / "empty").mkdir(parents=True)
    (directory / "package" / LONG_NAME).write_text("x = 1\n")
    (directory / "program").write_text("#!/bin/sh\n")
    (directory / "program").chmod(0o700)
    return Layer(name=name, digest=digest, directory=directory)


def test_entries(tmp_path: Path, store: Store) -> None:
    """Parents come first; owner, time and modes are fixed; names may be long."""
    tar = tar_layer(make_layer(tmp_path / "layer"), store)
    with tarfile.open(tar) as archive:
        found = [(e.name, e.type, e.mode, e.uid, e.gid, e.mtime) for e in archive]
    directory, file = tarfile.DIRTYPE, tarfile.REGTYPE
    assert found == [
        ("opt", directory, 0o755, 0, 0, 0),
        ("opt/stevedore", directory, 0o755, 0, 0, 0),
        ("opt/stevedore/own", directory, 0o755, 0, 0, 0),
        ("opt/stevedore/own/package", directory, 0o755, 0, 0, 0),
        ("opt/stevedore/own/package/empty", directory, 0o755, 0, 0, 0),
        (f"opt/stevedore/own/package/{LONG_NAME}", file, 0o644, 0, 0, 0),
        ("opt/stevedore/own/program", file, 0o755, 0, 0, 0),
    ]


def change_nothing(layer: Layer) -> None:
    """Leave the layer as it is."""


def change_times(layer: Layer) -> None:
    """Set another time on every file."""
    for path in layer.directory.rglob("*"):
        os.utime(path, (12345, 12345))


def change_modes(layer: Layer) -> None:
    """Take rights from a file, as a strict umask does."""
    (layer.directory / "package" / LONG_NAME).chmod(0o600)


def link_twice(layer: Layer) -> None:
    """Give a file a second name elsewhere, as a cache does."""
    (layer.directory.parent / "elsewhere").hardlink_to(layer.directory / "program")


@pytest.mark.parametrize("change", [change_nothing, change_times, change_modes, link_twice])
def test_same_bytes(tmp_path: Path, change: Callable[[Layer], None]) -> None:
    """Directory, times, modes and links of the machine that builds are not in the tar."""
    first, second = make_layer(tmp_path / "a" / "layer"), make_layer(tmp_path / "b" / "layer")
    change(second)
    one = tar_layer(first, Store(root=tmp_path / "store-a")).read_bytes()
    other = tar_layer(second, Store(root=tmp_path / "store-b")).read_bytes()
    assert one == other


def test_content_is_in_the_bytes(tmp_path: Path) -> None:
    """Other content gives another tar."""
    first, second = make_layer(tmp_path / "a"), make_layer(tmp_path / "b")
    (second.directory / "program").write_text("#!/bin/no\n")
    one = tar_layer(first, Store(root=tmp_path / "store-a")).read_bytes()
    assert one != tar_layer(second, Store(root=tmp_path / "store-b")).read_bytes()


def test_name_follows_digest_and_target(tmp_path: Path) -> None:
    """A tar is found again by what is in it and where it goes, and by nothing else."""
    layers = [
        make_layer(tmp_path / "a"),
        make_layer(tmp_path / "b"),
        make_layer(tmp_path / "c", digest="d2"),
        make_layer(tmp_path / "d", name="models/iris"),
    ]
    names = [tar_name(layer) for layer in layers]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_made_once(tmp_path: Path, store: Store) -> None:
    """A tar that is there is not made again."""
    layer = make_layer(tmp_path / "layer")
    tar = tar_layer(layer, store)
    tar.write_bytes(b"already here")
    assert tar_layer(layer, store).read_bytes() == b"already here"


def test_digest(tmp_path: Path, store: Store) -> None:
    """It is that of the tar, and read once: what is kept is taken from then on."""
    layer = make_layer(tmp_path / "layer")
    found = read_tar(layer, store)
    assert found == ImageTar.read(tar_layer(layer, store))
    found.path.write_bytes(b"other")
    assert read_tar(layer, store) == found
    assert ImageTar.read(found.path) != found


def test_links_are_refused(tmp_path: Path, store: Store) -> None:
    """A link could point at anything in the image; all of them are named, and no tar stays."""
    layer = make_layer(tmp_path / "layer")
    (layer.directory / "a-link").symlink_to("/etc/passwd")
    os.mkfifo(layer.directory / "package" / "pipe")
    with pytest.raises(LayerRefused) as refused:
        tar_layer(layer, store)
    assert str(refused.value) == (
        "layer `own` may hold files and directories only; "
        "found 2 links or special files: `a-link`, `package/pipe`"
    )
    assert list(store.tars.glob("*")) == []

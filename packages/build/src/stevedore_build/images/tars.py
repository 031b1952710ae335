"""Layers as deterministic tars: the same files give the same bytes on every machine.

Called by `building`. A tar is kept under the layer's digest and never made twice.
"""

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stevedore_build.errors import LayerRefused
from stevedore_build.images.directories import ImageTar
from stevedore_build.layouts.layers import Layer
from stevedore_build.store import Store

__all__ = ["read_tar", "tar_layer", "tar_name"]

_FORMAT = "1"
"""Change it with the way tars are written, so that older ones are not reused."""


def tar_name(layer: Layer) -> str:
    """Return the file name of a layer's tar: it changes with its content and its place."""
    key = hashlib.sha256(f"{_FORMAT}\n{layer.digest}\n{layer.target}".encode()).hexdigest()
    return f"{key}.tar"


def tar_layer(layer: Layer, store: Store) -> Path:
    """Return the tar of `layer`, made if it is not there yet.

    Raises `LayerRefused` for links and special files.
    """
    tar = store.tars / tar_name(layer)
    if not tar.exists():
        with store.replacing(tar) as draft:
            _write(layer, draft)
    return tar


def read_tar(layer: Layer, store: Store) -> ImageTar:
    """Return the tar of `layer` with its digest, which is read once and kept beside it."""
    tar = tar_layer(layer, store)
    kept = tar.with_suffix(".sha256")
    if kept.is_file():
        return ImageTar(path=tar, digest=kept.read_text(encoding="utf-8"))
    found = ImageTar.read(tar)
    store.write(kept, found.digest)
    return found


def _write(layer: Layer, tar: Path) -> None:
    inside = PurePosixPath(*layer.target.parts[1:])
    # GNU's format: one header per entry whatever the name's length, and no extended attributes.
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as archive:
        for parent in reversed(inside.parents[:-1]):
            archive.addfile(_directory(parent))
        archive.addfile(_directory(inside))
        for path in _walk(layer):
            name = inside / path.relative_to(layer.directory).as_posix()
            if path.is_dir():
                archive.addfile(_directory(name))
            else:
                with path.open("rb") as content:
                    archive.addfile(_file(name, path.stat()), content)


def _walk(layer: Layer) -> Iterator[Path]:
    paths = sorted(layer.directory.rglob("*"), key=lambda path: path.as_posix())
    unfit = [path for path in paths if not _is_plain(path)]
    if unfit:
        names = ", ".join(f"`{path.relative_to(layer.directory)}`" for path in unfit[:10])
        raise LayerRefused(
            f"layer `{layer.name}` may hold files and directories only; "
            f"found {len(unfit)} links or special files: {names}"
        )
    yield from paths


def _is_plain(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _directory(name: PurePosixPath) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"{name}")
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o755
    return entry


def _file(name: PurePosixPath, found: os.stat_result) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"{name}")
    entry.size = found.st_size
    entry.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
    return entry

"""An image as an engine saves it: its configuration, and the entries of its layers.

`verifying` reads it. Nothing is unpacked and nothing of the image runs.
"""

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self, cast

from stevedore_build.errors import ImageUnreadable

__all__ = ["Entry", "SavedImage", "entries_of"]

_KINDS: Final = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
}
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What a layer says about one path. Times are left out: nothing reads them."""

    kind: str
    mode: str
    owner: str
    target: str
    attributes: tuple[tuple[str, str], ...]
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedImage:
    """One image in an archive. `identity` is the digest of its configuration."""

    archive: Path
    identity: str
    configuration: Mapping[str, Any]
    _layers: tuple[str, ...]

    @classmethod
    def read(cls, archive: Path) -> Self:
        """Return the one image in an archive. Raises `ImageUnreadable`."""
        try:
            with tarfile.open(archive) as saved:
                (image,) = json.loads(_content(saved, "manifest.json"))
                text = _content(saved, image["Config"])
            configuration = json.loads(text)
        except (OSError, KeyError, TypeError, ValueError, tarfile.TarError) as error:
            raise ImageUnreadable(
                f"{archive.name}: expected one image as `podman save` or `docker save` writes it; "
                f"it cannot be read: {error}"
            ) from error
        return cls(
            archive=archive,
            identity=f"sha256:{hashlib.sha256(text).hexdigest()}",
            configuration=configuration,
            _layers=tuple(image["Layers"]),
        )

    @property
    def layer_count(self) -> int:
        """How many layers there are, the base's too."""
        return len(self._layers)

    def digest(self, position: int) -> str:
        """Return the digest of a layer's tar; the first is 0. Raises `ImageUnreadable`."""
        with self._layer(position) as tar:
            return f"sha256:{_sha256(tar)}"

    def entries(self, position: int) -> Mapping[str, Entry]:
        """Return the entries of a layer, by path. Raises `ImageUnreadable`."""
        with self._layer(position) as tar:
            return entries_of(tar)

    def files(self, position: int, below: str) -> Mapping[str, bytes]:
        """Return the content of a layer's files below a directory, by their path in it."""
        found = {}
        with self._layer(position) as tar, tarfile.open(fileobj=tar, mode="r:") as layer:
            for entry in layer:
                name = _name(entry)
                content = layer.extractfile(entry) if entry.isreg() else None
                if content and name.startswith(f"{below}/"):
                    found[name.removeprefix(f"{below}/")] = content.read()
        return found

    @contextmanager
    def _layer(self, position: int) -> Iterator[IO[bytes]]:
        try:
            with tarfile.open(self.archive) as saved, _opened(saved, self._layers[position]) as tar:
                yield tar
        except (OSError, KeyError, EOFError, tarfile.TarError) as error:
            where = f"{self.archive.name}: layer {position + 1}"
            raise ImageUnreadable(f"{where} cannot be read: {error}") from error


def entries_of(tar: IO[bytes]) -> Mapping[str, Entry]:
    """Return what a tar says, by path; of two entries for one path the last counts, as it would."""
    with tarfile.open(fileobj=tar, mode="r:") as archive:
        return {_name(entry): _entry(archive, entry) for entry in archive}


def _entry(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Entry:
    content = archive.extractfile(entry) if entry.isreg() else None
    attributes = {name: str(v) for name, v in entry.pax_headers.items() if "xattr" in name}
    return Entry(
        kind=_KINDS.get(entry.type, f"type {entry.type!r}"),
        mode=f"{entry.mode & 0o7777:04o}",
        owner=f"{entry.uid}:{entry.gid}",
        target=entry.linkname,
        attributes=tuple(sorted(attributes.items())),
        sha256=_sha256(content) if content else "",
    )


def _sha256(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _name(entry: tarfile.TarInfo) -> str:
    return entry.name.removeprefix("./").rstrip("/")


def _content(saved: tarfile.TarFile, name: str) -> bytes:
    with _opened(saved, name) as content:
        return content.read()


def _opened(saved: tarfile.TarFile, name: str) -> IO[bytes]:
    content = saved.extractfile(name)
    if content is None:
        raise KeyError(f"`{name}` is no file")
    is_compressed = content.read(2) == _GZIP
    content.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=content)) if is_compressed else content

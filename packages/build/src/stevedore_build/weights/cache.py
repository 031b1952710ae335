"""Fetched weights, each under its sha256: nothing is in place that is not what it has to be.

`layouts.layers` places files from here, the command line fills it ahead. Several checkouts may
share the directory. Two processes that want the same file at once fetch it once.
"""

import errno
import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from rich.filesize import decimal

from stevedore_build.console import transfer
from stevedore_build.digests import sha256_of
from stevedore_build.errors import FetchFailed
from stevedore_build.store import Store
from stevedore_build.weights.downloading import download
from stevedore_build.workspace import CACHE_VARIABLE
from stevedore_core.fetched_files import FetchedFile

__all__ = ["fetch", "keep", "place"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_AT_ONCE_BYTES: Final = 1 << 20


def fetch(file: FetchedFile, *, model: str, store: Store) -> Path:
    """Return where the cache has a file of a model, fetched if it is not there.

    Raises `FetchFailed` where it cannot be had, or is not what is recorded.
    """
    kept = _kept(file, store)
    if not kept.is_file():
        title = f"Fetching `{file.name}` of `{model}`, {decimal(file.size_bytes)}"
        if file.url is not None:
            fill = partial(download, file.url, size_bytes=file.size_bytes)
            _take(file, store, title, lambda part, show: fill(part, show=show))
        else:
            source = store.repository / "models" / model / (file.path or "")
            _take(file, store, title, lambda part, show: _copy(source, part, file, show))
    return kept


def keep(file: FetchedFile, source: Path, *, store: Store) -> Path:
    """Take a file that is here into the cache, so that nobody fetches it."""
    kept = _kept(file, store)
    if not kept.is_file():
        title = f"Keeping `{file.name}`, {decimal(file.size_bytes)}"
        _take(file, store, title, lambda part, show: _copy(source, part, file, show))
    return kept


def place(file: FetchedFile, at: Path, *, model: str, store: Store) -> None:
    """Put a file of a model somewhere: the same file under another name where that is possible.

    What was kept is read again, so that a file that was changed since is not placed.
    """
    kept = fetch(file, model=model, store=store)
    if (found := sha256_of(kept)) != file.sha256:
        raise FetchFailed(
            f"{kept}: expected sha256 `{file.sha256}`, found `{found}`: the file was changed after "
            "it was fetched; remove it, and it is fetched anew"
        )
    try:
        at.hardlink_to(kept)
    except OSError:  # another file system, or one without such links
        shutil.copyfile(kept, at)
        at.chmod(0o444)


def _kept(file: FetchedFile, store: Store) -> Path:
    return store.weights / "sha256" / file.sha256


def _take(
    file: FetchedFile,
    store: Store,
    title: str,
    fill: Callable[[Path, Callable[[int], None]], None],
) -> None:
    """Fill a file beside the cache, and put it in place once it is what it has to be."""
    kept = _kept(file, store)
    part = store.weights / "parts" / file.sha256
    with _alone(store.weights / "locks" / file.sha256):
        if kept.is_file():  # another process was faster
            return
        part.parent.mkdir(exist_ok=True)
        there_bytes = part.stat().st_size if part.exists() else 0
        if shutil.disk_usage(store.weights).free < file.size_bytes - there_bytes:
            raise FetchFailed(_room_wanted(file, store))
        try:
            with transfer(title, file.size_bytes) as show:
                fill(part, show)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            part.unlink()
            raise FetchFailed(_room_wanted(file, store)) from None
        if (found := sha256_of(part)) != file.sha256:
            part.unlink()
            raise FetchFailed(
                f"{file.source}: is not the recorded `{file.name}`: expected sha256 "
                f"`{file.sha256}`, found `{found}`; nothing of it is kept"
            )
        part.chmod(0o444)
        kept.parent.mkdir(exist_ok=True)
        part.rename(kept)


def _copy(source: Path, part: Path, file: FetchedFile, show: Callable[[int], None]) -> None:
    if not source.is_file():
        raise FetchFailed(
            f"{source}: not there, and weights are recorded to be; put the file with sha256 "
            f"`{file.sha256}` there, or record a `url` with `ml-stevedore declare-weights`"
        )
    if (found_bytes := source.stat().st_size) != file.size_bytes:
        raise FetchFailed(f"{source}: expected {file.size_bytes} bytes, found {found_bytes}")
    with source.open("rb") as content, part.open("wb") as copy:
        while chunk := content.read(_AT_ONCE_BYTES):
            copy.write(chunk)
            show(copy.tell())


def _room_wanted(file: FetchedFile, store: Store) -> str:
    free_bytes = shutil.disk_usage(store.weights).free
    return (
        f"{store.weights}: `{file.name}` needs {decimal(file.size_bytes)}, and "
        f"{decimal(free_bytes)} are free; free some, or name another directory in "
        f"`{CACHE_VARIABLE}`"
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process works on the same file; the kernel ends a killed one's turn."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

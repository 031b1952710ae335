"""Directories to write in that go with the process that made them.

Called by whatever writes what is not in its place yet. A killed process cannot tidy up. Each draft
is locked by its maker, and the kernel opens the lock of a process that is gone: whoever makes the
next draft removes those that nobody holds.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["abandoned_drafts", "draft_directory"]

_PREFIX: Final = "draft-"


@contextmanager
def draft_directory(parent: Path) -> Iterator[Path]:
    """Give a new directory below `parent`; it is gone in the end, come what may."""
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    directory, lock = _make(parent)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def abandoned_drafts(parent: Path) -> tuple[Path, ...]:
    """Return the directories below `parent` whose makers are gone."""
    return tuple(
        directory for directory in sorted(parent.glob(f"{_PREFIX}*")) if _is_free(directory)
    )


def _is_free(directory: Path) -> bool:
    try:
        lock = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _make(parent: Path) -> tuple[Path, int]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Until it is locked it looks abandoned, and another process may remove it.
        with suppress(FileNotFoundError):
            lock = os.open(directory, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if directory.is_dir():
                return directory, lock
            os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            lock = os.open(directory, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(lock)

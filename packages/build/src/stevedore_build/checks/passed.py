"""Which checks already passed with the same content. `running` asks before it runs anything.

A check's key is a digest of everything that its outcome depends on. Keys of checks that passed are
kept as files in the store: delete one, or all, and the check runs again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stevedore_build.digests import sha256_of
from stevedore_build.store import Store

__all__ = ["already_passed", "content_of", "key_of", "record_passed"]

_LEFT_OVER: Final = frozenset({"__pycache__", ".pytest_cache", ".ruff_cache"})


def content_of(*places: Path) -> str:
    """Return the digest of some files, and of all files below some directories, with their names.

    A place that is not there counts as empty.
    """
    digest = hashlib.sha256()
    for place in places:
        files = [place] if place.is_file() else sorted(place.rglob("*"))
        for file in files:
            if file.is_file() and _LEFT_OVER.isdisjoint(file.parts):
                name = place.name if file == place else file.relative_to(place).as_posix()
                digest.update(f"{name}\0{sha256_of(file)}\0".encode())
        digest.update(b"\1")
    return digest.hexdigest()


def key_of(parts: Mapping[str, str | list[str]]) -> str:
    """Return one key for everything that a check depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def already_passed(check: str, key: str, *, store: Store) -> bool:
    """Tell whether a check, such as `model-iris`, passed under this key before."""
    return (store.passed / check / key).is_file()


def record_passed(check: str, key: str, *, store: Store) -> None:
    """Keep that a check passed under this key."""
    store.write(store.passed / check / key, "")

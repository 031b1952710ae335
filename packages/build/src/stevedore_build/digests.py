"""The sha256 of files: of one, or of several together with their names."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["sha256_of", "sha256_of_all"]


def sha256_of(file: Path) -> str:
    """Return the sha256 of what a file holds."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sha256_of_all(directory: Path, files: Iterable[str], *, head: str = "") -> str:
    """Return the sha256 of `head`, and of files below a directory with their names, in order."""
    digest = hashlib.sha256(head.encode())
    for file in files:
        digest.update(f"{file}\0{sha256_of(directory / file)}\0".encode())
    return digest.hexdigest()

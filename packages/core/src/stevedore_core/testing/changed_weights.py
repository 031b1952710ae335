"""A copy of a model package in which one file of weights is not the recorded one.

The conformance suite loads it, and wants to be refused.
"""

import os
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns

from stevedore_core.layout import Layout
from stevedore_core.weights import WeightsRecord

__all__ = ["copy_with_changed"]


def copy_with_changed(name: str, package: Path, parent: Path) -> None:
    """Copy the code of a package into the directory `parent`, and flip a bit of a file of weights.

    Files that are fetched are put beside the record, where they are looked for first. In place of
    a changed one stands an empty one of its size: it may be too large to be copied.
    """
    copy = copytree(package, parent / package.name, ignore=ignore_patterns("__pycache__"))
    record = WeightsRecord.read(package / "weights")
    fetched_into = Layout.around(package).weights(record.fetched_digest)
    for fetched in record.fetched.values():
        place = copy / "weights" / fetched.name
        if fetched.name != name:
            _link_or_copy(record.verified(fetched.name, fetched_into=fetched_into), place)
            continue
        place.unlink(missing_ok=True)
        with place.open("wb") as file:
            file.truncate(fetched.size_bytes)
    if name in record.sha256:
        _flip_a_bit(copy / "weights" / name)


def _link_or_copy(source: Path, place: Path) -> None:
    place.unlink(missing_ok=True)
    try:
        os.link(source, place)
    except OSError:  # another file system
        copyfile(source, place)


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

"""A copy of a model package in which one file of weights is not the recorded one, and loading it.

The conformance suite wants to be refused. The copy is loaded in a process of its own, which runs
`stevedore_core.testing.changed_weights <model> <parent of the copy>`.
"""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns

from stevedore_core.discovery import load_model, package_of
from stevedore_core.errors import PackageError
from stevedore_core.layout import Layout
from stevedore_core.weights import WeightsRecord

__all__ = ["copy_with_changed", "loaded_from", "main"]


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


def loaded_from(parent: Path, model: str) -> str:
    """Return what `main` says in a fresh process that finds packages in `parent` first.

    If it dies before it says anything, that is the last line of its traceback or its exit status.
    """
    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-P", "-m", __name__, model, str(parent)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(parent), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (done.stdout.split("\n") if done.returncode == 0 else done.stderr.split("\n"))[:-1]
    return lines[-1] if lines else f"exit status {done.returncode}"


def main(model: str, parent: str) -> str:
    """Return `loaded` or the name of the error that loading raised, if it was of the copy."""
    try:
        load_model(model)
    except PackageError as error:
        outcome = type(error).__name__
    else:
        outcome = "loaded"
    package = package_of(model)
    module = sys.modules.get(package)
    if module is None or not Path(str(module.__file__)).is_relative_to(parent):
        return f"`{package}` was not imported from the changed copy"
    return outcome


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


if __name__ == "__main__":  # pragma: no cover  # in a process of its own
    print(main(*sys.argv[1:]))  # noqa: T201  # the suite reads it

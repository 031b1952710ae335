"""Model packages from an original-style `model.py` with a list `predictors`: one from each.

The file is run by a Python that its author has set up, for it trains its models when it is
imported. What is fitted is stored in a format that executes nothing when it is loaded.
"""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from stevedore_build.console import step
from stevedore_build.drafts import draft_directory
from stevedore_build.errors import OriginalRefused, ToolFailed
from stevedore_build.originals.package import write_package
from stevedore_build.originals.reader import REFUSED
from stevedore_build.processes import git
from stevedore_build.workspace import Workspace
from stevedore_core.fields import NAME, normalise, quote

__all__ = ["import_originals"]

_LAST: Final = 2_000
"""Characters that are told of what the author's code said before it failed."""


def import_originals(
    file: Path, *, python: Path, workspace: Workspace, name: str = "", trusted: Sequence[str] = ()
) -> tuple[str, ...]:
    """Write a model package for each predictor of `file`, and return their names.

    `python` runs the file. `name` renames the only predictor; `trusted` are types that skops may
    load. All packages are written or, where `OriginalRefused` is raised, none.
    """
    if not file.is_file():
        raise OriginalRefused(f"`FROM`: expected a file of Python, found no `{file}`")
    with tempfile.TemporaryDirectory() as scratch:
        room = Path(scratch)
        with step(f"Running {file}, which trains its models"):
            found = _read(file.resolve(), room, python, trusted)
        predictors = found["predictors"]
        if name and len(predictors) != 1:
            raise OriginalRefused(
                f"`NAME`: {file} has {len(predictors)} predictors, and each keeps its own name; "
                "leave `NAME` out"
            )
        names = [name or str(predictor["name"]) for predictor in predictors]
        _refuse_names(names, file, workspace)
        with draft_directory(workspace.store.drafts) as draft:
            for position, (called, predictor) in enumerate(zip(names, predictors, strict=True), 1):
                weights = room / str(position) / predictor["weights"]["file"]
                write_package(
                    draft / called, called, predictor, weights, file, found["distributions"]
                )
            (workspace.root / "models").mkdir(exist_ok=True)
            for called in names:
                (draft / called).rename(workspace.root / "models" / called)
    git("add", "--", *(f"models/{called}" for called in names), cwd=workspace.root)
    return tuple(names)


def _read(file: Path, room: Path, python: Path, trusted: Sequence[str]) -> dict[str, Any]:
    """Run the file where the original would, and return what the reader found."""
    reader = files("stevedore_build.originals").joinpath("reader.py").read_text(encoding="utf-8")
    # One that is named by its path is meant from here; a link to it is not followed.
    program = str(python.absolute() if python.parent != Path() else python)
    command = [program, "-c", reader, str(file), str(room), *trusted]
    place = file.parent.parent if file.parent.name == "model" else file.parent
    try:
        done = subprocess.run(  # noqa: S603 - a list, never a shell
            command, cwd=place, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ToolFailed(f"`{python}` cannot be started: {error.strerror}") from error
    if done.returncode == REFUSED:
        raise OriginalRefused(done.stdout)
    if done.returncode != 0:
        raise OriginalRefused(
            f"{file}: cannot be run by `{python}`; name a Python that has what it imports, with "
            f"`WITH=path/to/python`; it said:\n{done.stderr.strip()[-_LAST:]}"
        )
    document: dict[str, Any] = json.loads((room / "found.json").read_text(encoding="utf-8"))
    return document


def _refuse_names(names: Sequence[str], file: Path, workspace: Workspace) -> None:
    there = sorted((workspace.root / "models").glob("*"))
    taken = {normalise(path.name): f"`models/{path.name}`" for path in there}
    for position, name in enumerate(names, 1):
        where = f"{file}: `predictors`, item {position}, `name`"
        if not NAME.accepts(name):
            raise OriginalRefused(f"{where}: expected {NAME.expected}, found {quote(name)}")
        other = taken.setdefault(normalise(name), f"item {position}")
        if other != f"item {position}":
            raise OriginalRefused(f"{where}: `{name}` is the name of {other} already")

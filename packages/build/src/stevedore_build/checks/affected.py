"""What a change affects: the models to test again, and the compositions whose images to rebuild.

Called by `cli.checks` for `make affected` and `nox -s test_affected`. It reads files and git
only: nothing is built, tested or asked for.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from stevedore_build.errors import ToolFailed, WorkspaceInvalid
from stevedore_build.processes import git
from stevedore_build.wheels.history import export
from stevedore_build.workspace import Workspace, version_in
from stevedore_core.errors import DocumentInvalid
from stevedore_core.lock import Lock

__all__ = ["Affected", "affected_since"]

_EVERYTHING: Final = (
    "conftest.py",
    "packages/build/pyproject.toml",
    "packages/build/src",
    "packages/core/pyproject.toml",
    "packages/core/src",
    "pyproject.toml",
    "requirements/stevedore.txt",
    "requirements/test.txt",
)
"""What every model runs on or is tested with."""

_EVERY_COMPOSITION: Final = (
    "packages/api/pyproject.toml",
    "packages/api/src",
    "tests/composition",
    "tests/image",
)
"""What every composition is served or tested with, and no model alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Affected:
    """Names, sorted. Each composition stands for its image too."""

    models: tuple[str, ...]
    compositions: tuple[str, ...]

    def to_json(self) -> str:
        """Return the names as one line of JSON, for a CI's matrix."""
        return json.dumps(asdict(self))


def affected_since(since: str, *, workspace: Workspace) -> Affected:
    """Return what the commits since `since`, and what is not committed yet, affect.

    A model is affected if its files changed or if some composition locks other content for it; a
    composition, if its own files changed or if it ships a changed model at the workspace's version.
    Raises `WorkspaceInvalid` for a `since` that names no commit here.
    """
    models = {package.folder for package in workspace.models()}
    compositions = set(workspace.compositions())
    changed = _changed_files(since, workspace)
    if any(_is_below(file, _EVERYTHING) for file in changed):
        return _sorted(models, compositions)
    with tempfile.TemporaryDirectory() as room:
        moved = {
            name: _moved_models(name, since, workspace, Path(room))
            for name in compositions
            if any(_is_below(file, [f"compositions/{name}"]) for file in changed)
        }
    touched = {file.parts[1] for file in changed if file.parts[0] == "models"} & models
    here = {name: version_in(workspace.model(name).directory) for name in touched}
    all_served = any(_is_below(file, _EVERY_COMPOSITION) for file in changed)
    rebuilt = {
        name
        for name in compositions
        if all_served or name in moved or _ships(name, here, workspace)
    }
    return _sorted(touched.union(*moved.values()) & models, rebuilt)


def _sorted(models: Iterable[str], compositions: Iterable[str]) -> Affected:
    return Affected(models=tuple(sorted(models)), compositions=tuple(sorted(compositions)))


def _changed_files(since: str, workspace: Workspace) -> list[PurePosixPath]:
    """Return every file that differs from `since`: both sides of a rename, untracked ones too."""
    root = workspace.root
    try:
        commit = git("rev-parse", "--verify", "--quiet", f"{since}^{{commit}}", cwd=root).strip()
    except ToolFailed:
        raise WorkspaceInvalid(
            f"`{since}` names no commit that is here; name one that `git log` shows, "
            "and in a shallow clone fetch it first: `git fetch --unshallow`"
        ) from None
    differing = git("diff", "--name-only", "--no-renames", "-z", commit, "--", cwd=root)
    untracked = git("ls-files", "--others", "--exclude-standard", "-z", cwd=root)
    return [PurePosixPath(name) for name in (differing + untracked).split("\0") if name]


def _is_below(file: PurePosixPath, places: Iterable[str]) -> bool:
    return any(file.is_relative_to(place) for place in places)


def _ships(composition: str, touched: Mapping[str, str | None], workspace: Workspace) -> bool:
    """Tell whether a composition ships a touched model at the workspace's version.

    Where a version or a lock cannot be read, it may.
    """
    try:
        lock = Lock.read(workspace.composition(composition))
    except DocumentInvalid:
        return bool(touched)
    return any(
        model.name in touched and touched[model.name] in {None, model.version}
        for model in lock.models
    )


def _moved_models(composition: str, since: str, workspace: Workspace, room: Path) -> set[str]:
    """Return the models for which a composition's lock says something else than at `since`."""
    try:
        now = _alone(Lock.read(workspace.composition(composition)))
    except DocumentInvalid:
        return {package.folder for package in workspace.models()}
    try:
        place = f"compositions/{composition}"
        export(since, f"{place}/lock.toml", f"{place}/lock", to=room, root=workspace.root)
        before = _alone(Lock.read(room / place))
    except (DocumentInvalid, ToolFailed):  # it was not there, or an older version wrote it
        return set(now)
    return {name for name, locks in now.items() if before.get(name) != locks}


def _alone(lock: Lock) -> dict[str, set[Lock]]:
    """Return, for each model, its locks alone: one for each version that is shipped."""
    alone: dict[str, set[Lock]] = defaultdict(set)
    for model in lock.models:
        alone[model.name].add(lock.restrict(model.name, model.version))
    return alone

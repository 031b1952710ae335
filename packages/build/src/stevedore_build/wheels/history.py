"""What git remembers: an older version of a model, from the last commit that had it, and checkouts.

`pins` builds its wheel from there, `checks.running` takes its tests. Of a released version
the commit that its tag names counts; no other needs a tag. `releases.comparing` looks at whole
releases.
"""

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from stevedore_build.console import notice
from stevedore_build.errors import ToolFailed
from stevedore_build.processes import git
from stevedore_build.tags import find_tag
from stevedore_build.wheels.building import OwnWheel, build_exported
from stevedore_build.workspace import Workspace, declared_version

__all__ = ["checkout_at", "export", "is_shallow", "tests_from_history", "wheel_from_history"]


def wheel_from_history(model: str, version: str, *, workspace: Workspace) -> OwnWheel | None:
    """Return the wheel of a model as the last commit with that version has it, if one has.

    It is built from a clean export of that commit: nothing of the checkout gets into it.
    """
    commit = _commit_of(model, version, workspace)
    if commit is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        exported = _exported(commit, model, workspace, Path(scratch))
        wheel = build_exported(exported.model(model), store=workspace.store)
    notice(f"`{model}` {wheel.version} is taken from git history, commit {commit[:12]}")
    return wheel


def tests_from_history(model: str, version: str, *, workspace: Workspace) -> Path | None:
    """Return the directory of a model's tests as that commit has them, `None` without a commit."""
    commit = _commit_of(model, version, workspace)
    if commit is None:
        return None
    tests = workspace.store.tests / commit / model
    if not tests.exists():
        with tempfile.TemporaryDirectory() as scratch, workspace.store.adding(tests) as draft:
            exported = _exported(commit, model, workspace, Path(scratch))
            shutil.copytree(exported.model(model).directory / "tests", draft)
    return tests


@contextmanager
def checkout_at(commit: str, *, workspace: Workspace) -> Iterator[Workspace]:
    """Give a checkout of a commit, with the history up to there and no tags, for a while.

    What is generated in it, and the wheels that were released, are this workspace's.
    """
    workspace.store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "checkout"
        clone = ("clone", "--quiet", "--shared", "--no-tags", "--no-checkout")
        git(*clone, str(workspace.root), str(root), cwd=workspace.root)
        git("checkout", "--quiet", "--detach", commit, cwd=root)
        for name in (workspace.store.root.name, "dist"):
            (root / name).symlink_to(workspace.root / name, target_is_directory=True)
        yield Workspace(root=root)


def export(tree: str, *places: str, to: Path, root: Path) -> None:
    """Write the files that a commit, or a directory in one, has below some places.

    Raises `ToolFailed` where it has no such place.
    """
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        git("archive", f"--output={archive.name}", tree, "--", *places, cwd=root)
        with tarfile.open(archive.name) as tar:
            tar.extractall(to, filter="data")


def is_shallow(workspace: Workspace) -> bool:
    """Tell whether the clone lacks a part of its history."""
    return git("rev-parse", "--is-shallow-repository", cwd=workspace.root).strip() == "true"


def _commit_of(model: str, version: str, workspace: Workspace) -> str | None:
    """Return the commit at which a version was released, or else the last that has it."""
    released = find_tag("models", model, version, root=workspace.root)
    if released is not None:
        return released.commit
    place = f"models/{model}"
    if not git("for-each-ref", "--count=1", cwd=workspace.root):
        return None  # nothing is committed yet
    commits = git("log", "--format=%H", "--", place, cwd=workspace.root).split()
    for commit in commits:
        if declared_version(partial(_text_at, commit, place, workspace.root)) == version:
            return commit
    return None


def _exported(commit: str, model: str, workspace: Workspace, scratch: Path) -> Workspace:
    """Write a model package as a commit has it below `scratch`, as a workspace of its own."""
    export(commit, f"models/{model}", to=scratch, root=workspace.root)
    return Workspace(root=scratch)


def _text_at(commit: str, place: str, root: Path, path: str) -> str:
    """Return a file of a package in a commit; an empty text if the commit has no such file."""
    try:
        return git("cat-file", "blob", f"{commit}:{place}/{path}", cwd=root, errors="replace")
    except ToolFailed:
        return ""

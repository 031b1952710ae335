"""Model packages as git remembers them: an older version comes from the last commit that had it.

`pins` builds its wheel from there, `checks` takes its tests. No tag is needed.
"""

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from stevedore_build.console import notice
from stevedore_build.processes import git
from stevedore_build.wheels import OwnWheel, build_exported
from stevedore_build.workspace import Workspace

__all__ = ["is_shallow", "tests_from_history", "wheel_from_history"]

_VERSION: Final = re.compile(r"^__version__ = [\"']([^\"']+)[\"']", re.MULTILINE)


def wheel_from_history(model: str, version: str, *, workspace: Workspace) -> OwnWheel | None:
    """Return the wheel of a model as the last commit with that version has it, if one has.

    It is built from a clean export of that commit: nothing of the checkout gets into it.
    """
    commit = _commit_of(model, version, workspace)
    if commit is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        exported = _export(commit, model, workspace, Path(scratch))
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
        with tempfile.TemporaryDirectory() as scratch, workspace.store.replacing(tests) as draft:
            exported = _export(commit, model, workspace, Path(scratch))
            shutil.copytree(exported.model(model).directory / "tests", draft)
    return tests


def is_shallow(workspace: Workspace) -> bool:
    """Tell whether the clone lacks a part of its history."""
    return git("rev-parse", "--is-shallow-repository", cwd=workspace.root).strip() == "true"


def _commit_of(model: str, version: str, workspace: Workspace) -> str | None:
    """Return the last commit in which a model has a version."""
    place = f"models/{model}"
    if not git("for-each-ref", "--count=1", cwd=workspace.root):
        return None  # nothing is committed yet
    commits = git("log", "--format=%H", "--", place, cwd=workspace.root).split()
    return next((c for c in commits if _version_at(c, place, workspace.root) == version), None)


def _export(commit: str, model: str, workspace: Workspace, scratch: Path) -> Workspace:
    """Write a model package as a commit has it below `scratch`, as a workspace of its own."""
    archive = subprocess.run(  # noqa: S603 - a list, never a shell
        ["git", "archive", "--format=tar", commit, "--", f"models/{model}"],  # noqa: S607 - on PATH
        cwd=workspace.root,
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(scratch, filter="data")
    return Workspace(root=scratch)


def _version_at(commit: str, place: str, root: Path) -> str | None:
    """Return the version that a package had in a commit, `None` if it was not there."""
    project = _text_at(commit, f"{place}/pyproject.toml", root)
    try:
        document = tomllib.loads(project)
        version = document["project"].get("version")
        if version is None:
            path = document["tool"]["hatch"]["version"]["path"]
            match = _VERSION.search(_text_at(commit, f"{place}/{path}", root))
            version = match[1] if match else None
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        return None
    return version if isinstance(version, str) else None


def _text_at(commit: str, path: str, root: Path) -> str:
    """Return a file of a commit; an empty text if the commit has none of that name."""
    done = subprocess.run(  # noqa: S603 - a list, never a shell
        ["git", "cat-file", "blob", f"{commit}:{path}"],  # noqa: S607 - the one on PATH
        cwd=root,
        capture_output=True,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""

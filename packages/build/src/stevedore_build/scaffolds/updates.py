"""Bringing a generated model package up to a newer form of the template, its author's edits kept.

`cli.scaffolds` calls it. Each file is merged from three: what the template made of the package's
answers then, what it makes of them now, and what the author has.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stevedore_build.drafts import draft_directory
from stevedore_build.errors import ScaffoldRefused, ToolFailed
from stevedore_build.processes import git, run, uv_program
from stevedore_build.scaffolds.frameworks import TEMPLATE
from stevedore_build.scaffolds.models import template_now
from stevedore_build.scaffolds.templating import ANSWERS, digest_of, kept_answers, render
from stevedore_build.wheels.history import export
from stevedore_build.wheels.own_packages import OWN_WHEELS
from stevedore_build.workspace import Workspace

__all__ = ["Update", "update_model"]

_IN_HISTORY: Final = "packages/build/src/stevedore_build/templates/model"
_MOST_CONFLICTS: Final = 127


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """Which files of a package were changed, and in which of them conflicts are marked."""

    changed: tuple[str, ...]
    conflicts: tuple[str, ...]


def update_model(name: str, *, workspace: Workspace, template: Path = TEMPLATE) -> Update:
    """Merge what changed in the template since a model package was made into the package.

    Raises `ScaffoldRefused` if it was not made from the template, has uncommitted changes, or the
    template that it was made from is nowhere to be had.
    """
    package = workspace.model(name).directory
    answers = kept_answers(package)
    if answers is None:
        raise ScaffoldRefused(
            f"`models/{name}/{ANSWERS}` is not there: only what `make new-model` made is updated"
        )
    if git("status", "--porcelain", "--", str(package), cwd=workspace.root).strip():
        raise ScaffoldRefused(
            f"`models/{name}` has changes that are not committed; commit them first, so that "
            "`git diff` shows what an update changes"
        )
    version, _, digest = str(answers["template"]).partition(" ")
    if digest == digest_of(template):
        return Update(changed=(), conflicts=())
    with draft_directory(workspace.store.drafts) as scratch:
        then = _template_then(version, digest, workspace, scratch)
        render(answers, scratch / "then", template=then)
        render(answers | {"template": template_now(template)}, scratch / "now", template=template)
        merged = list(_merge(package, then=scratch / "then", now=scratch / "now"))
    return Update(
        changed=tuple(file for file, _ in merged),
        conflicts=tuple(file for file, is_conflict in merged if is_conflict),
    )


def _merge(package: Path, *, then: Path, now: Path) -> Iterator[tuple[str, bool]]:
    """Write what changed between two renderings; yield the files, and whether one has conflicts.

    What the author removed stays away, and what the template no longer has stays.
    """
    for theirs in sorted(path for path in now.rglob("*") if path.is_file()):
        file = theirs.relative_to(now)
        base, ours = then / file, package / file
        before = base.read_bytes() if base.is_file() else None
        if before == theirs.read_bytes() or (before is not None and not ours.is_file()):
            continue
        if not ours.is_file():
            ours.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(theirs, ours)
            yield file.as_posix(), False
            continue
        if before is None:
            base.parent.mkdir(parents=True, exist_ok=True)
            base.touch()
        yield file.as_posix(), _merge_file(ours, base, theirs)


def _merge_file(ours: Path, base: Path, theirs: Path) -> bool:
    """Merge one file in place; tell whether conflicts are marked in it."""
    labels = ["-L", "yours", "-L", "the template then", "-L", "the template now"]
    command = ["git", "merge-file", *labels, str(ours), str(base), str(theirs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a list
    if not 0 <= done.returncode <= _MOST_CONFLICTS:
        raise ToolFailed(f"`git merge-file` ended with {done.returncode}:\n{done.stderr.strip()}")
    return done.returncode > 0


def _template_then(version: str, digest: str, workspace: Workspace, scratch: Path) -> Path:
    """Return the template of a digest: from git history, or else from the wheel of its version."""
    root = workspace.root
    for commit in git("log", "--format=%H", "--", _IN_HISTORY, cwd=root).split():
        place = scratch / commit
        with suppress(ToolFailed):  # the commit removed it
            export(f"{commit}:{_IN_HISTORY}", to=place, root=root)
            if digest_of(place) == digest:
                return place
    wheel = f"ml-py-stevedore-build=={version}"
    links = ["--find-links", str(root / OWN_WHEELS)] if (root / OWN_WHEELS).is_dir() else []
    into = ["--no-deps", "--target", str(scratch / "wheel")]
    with suppress(ToolFailed):
        run([uv_program(), "pip", "install", "--quiet", *links, *into, wheel])
        place = scratch / "wheel" / "stevedore_build" / "templates" / "model"
        if digest_of(place) == digest:
            return place
    raise ScaffoldRefused(
        f"the template that the package was made from, of ml-py-stevedore-build {version} with "
        f"sha256 `{digest}`, is neither in git history nor in a wheel of that version"
    )

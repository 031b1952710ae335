"""A workspace in an empty directory, with no repository of ours around it: `ml-stevedore init`.

What is written lies in `templates/workspace`, as it is written. Only the pins of core, api and
build are found out, from a directory of wheels or from the index that uv uses.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from stevedore_build.console import notice, step
from stevedore_build.digests import sha256_of
from stevedore_build.drafts import draft_directory
from stevedore_build.errors import IndexFailed, ToolFailed, WorkspaceInvalid
from stevedore_build.processes import git, run, uv_program
from stevedore_build.wheels.own_packages import OWN_WHEELS
from stevedore_build.workspace import OWN_PINS, OWN_PREFIX, Workspace
from stevedore_core.requirements_files import Pin, format_pins, parse_pins

__all__ = ["TEMPLATE", "init_workspace"]

TEMPLATE: Final = Path(__file__).parents[1] / "templates" / "workspace"

_OWN: Final = ("api", "build", "core")
_LEFT_AS_THEY_ARE: Final = ("README.md", ".gitignore")
"""What a new repository often has: it is added to, or left alone."""


def init_workspace(directory: Path, *, wheels: Path | None = None, lock: bool = True) -> Workspace:
    """Write a workspace with an example, have git track it, lock it, and commit a new repository.

    Core, api and build come from the directory `wheels`, else from an index. Raises
    `WorkspaceInvalid` where files would be overwritten; then nothing was written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    root = directory.resolve()
    _refuse_inside_another(root)
    files = _template_files()
    _refuse_overwriting(root, files)
    workspace = Workspace(root=root)
    with draft_directory(workspace.store.drafts) as draft:
        for name, source in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, draft / name)
        _pin(draft, wheels)
        written = _put(draft, root)
    is_new = not (root / ".git").exists()
    if is_new:
        git("init", "--quiet", cwd=root)
    git("add", "--", *written, cwd=root)
    if lock and _lock(root):
        git("add", "--", "compositions", cwd=root)
    if is_new:
        _commit(root)
    return workspace


def _template_files() -> Mapping[str, Path]:
    """Return the files of the template by their paths in a workspace, without caches."""
    ignored = {line.rstrip("/") for line in (TEMPLATE / "gitignore").read_text("utf-8").split()}
    found = {path.relative_to(TEMPLATE): path for path in sorted(TEMPLATE.rglob("*"))}
    return {
        name.as_posix().replace("gitignore", ".gitignore"): path
        for name, path in found.items()
        if path.is_file() and not ignored.intersection(name.parts)
    }


def _refuse_inside_another(root: Path) -> None:
    try:
        top = git("rev-parse", "--show-toplevel", cwd=root).strip()
    except ToolFailed as error:
        if "not a git repository" not in str(error):
            raise
        return
    if Path(top) != root:
        raise WorkspaceInvalid(
            f"{root}: lies inside the git repository {top}, and a workspace is a repository of its "
            "own; run this at the top of that repository, or in a directory outside of it"
        )


def _refuse_overwriting(root: Path, files: Mapping[str, Path]) -> None:
    there = [name for name in files if name not in _LEFT_AS_THEY_ARE and (root / name).exists()]
    if there:
        raise WorkspaceInvalid(
            f"{root}: holds {', '.join(f'`{name}`' for name in there)} already, and `ml-stevedore "
            "init` overwrites nothing; run it in an empty directory, or move them away"
        )


def _pin(draft: Path, wheels: Path | None) -> None:
    """Write which core, api and build the workspace uses, with hashes, and keep given wheels."""
    pins = draft / OWN_PINS
    keep = draft / OWN_WHEELS
    found = _from_wheels(wheels, keep=keep) if wheels else _from_index(draft)
    lines = [f"{OWN_PREFIX}{folder}=={version}\n" for folder, version in sorted(found.items())]
    text = "# Which ML-Py-Stevedore this workspace uses. `make lock-tools` pins it with hashes.\n"
    pins.with_suffix(".in").write_text(text + "".join(lines), encoding="utf-8")


def _from_wheels(wheels: Path, *, keep: Path) -> Mapping[str, str]:
    """Copy the one wheel of each package to `keep`, pin it, and return the versions."""
    if not wheels.is_dir():
        raise WorkspaceInvalid(f"`--wheels`: expected a directory of wheels, found `{wheels}`")
    keep.mkdir()
    pins, versions = [], {}
    for folder in _OWN:
        found = [file for file in sorted(wheels.glob("*.whl")) if _holds(file, folder)]
        if len(found) != 1:
            listed = ", ".join(f"`{file.name}`" for file in found) or "none"
            raise WorkspaceInvalid(
                f"`--wheels`: expected one wheel of `{OWN_PREFIX}{folder}` in `{wheels}`, found "
                f"{listed}"
            )
        (file,) = found
        version = str(parse_wheel_filename(file.name)[1])
        name, sha256s = OWN_PREFIX + folder, (sha256_of(file),)
        pins.append(Pin(name=name, version=version, marker=None, sha256s=sha256s))
        versions[folder] = version
        shutil.copyfile(file, keep / file.name)
    (keep.parent / OWN_PINS.name).write_text(format_pins(pins), encoding="utf-8")
    return versions


def _holds(file: Path, folder: str) -> bool:
    try:
        return parse_wheel_filename(file.name)[0] == OWN_PREFIX + folder
    except InvalidWheelFilename:
        return False


def _from_index(draft: Path) -> Mapping[str, str]:
    """Pin what is installed here as the index has it, with any api, and return the versions."""
    wanted = [f"{OWN_PREFIX}{f}=={installed_version(OWN_PREFIX + f)}\n" for f in ("build", "core")]
    place = draft / OWN_PINS
    asked = place.with_suffix(".in")
    asked.write_text("".join([f"{OWN_PREFIX}api\n", *wanted]), encoding="utf-8")
    command = [uv_program(), "pip", "compile", "--quiet", "--no-deps", "--universal"]
    command += ["--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header"]
    try:
        with step("Looking for `ml-py-stevedore-*` in the package index"):
            run([*command, str(asked), "--output-file", str(place)], cwd=draft)
    except ToolFailed as error:
        raise IndexFailed(
            f"the package index does not give core, api and build: {error}\nName a directory that "
            "has their wheels: `ml-stevedore init --wheels DIR`"
        ) from None
    pins = parse_pins(place.read_text("utf-8"), file="what the package index gives")
    return {pin.name.removeprefix(OWN_PREFIX): pin.version for pin in pins}


def _put(draft: Path, root: Path) -> list[str]:
    """Move what was written into place; return the names of what is new or changed."""
    written = []
    for source in sorted(path for path in draft.rglob("*") if path.is_file()):
        name = source.relative_to(draft).as_posix()
        target = root / name
        if name == ".gitignore" and target.exists():
            _add_lines(target, source.read_text(encoding="utf-8").splitlines())
        elif target.exists():
            notice(f"`{name}` is left as it is")
            continue
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
        written.append(name)
    return written


def _add_lines(file: Path, lines: list[str]) -> None:
    text = file.read_text(encoding="utf-8")
    known = set(text.splitlines())
    joint = "" if not text or text.endswith("\n") else "\n"
    added = [f"{line}\n" for line in lines if line not in known]
    file.write_text(text + joint + "".join(added), encoding="utf-8")


def _lock(root: Path) -> bool:
    """Install the tools and lock the example as people do; tell whether that went well."""
    done = subprocess.run(  # noqa: S603 - a list, never a shell
        ["make", "lock", f"PYTHON={sys.executable}"],  # noqa: S607 - the one on PATH
        cwd=root,
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode != 0:
        notice("the example is not locked, see above; `make lock` tries again")
    return done.returncode == 0


def _commit(root: Path) -> None:
    try:
        git("var", "GIT_COMMITTER_IDENT", cwd=root)
        git(
            "commit", "--quiet", "--message", "Start from what `ml-stevedore init` writes", cwd=root
        )
    except ToolFailed:
        notice("git does not know who you are; set `user.name` and `user.email`, and `git commit`")

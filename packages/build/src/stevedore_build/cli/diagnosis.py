"""What is missing on this machine and in a workspace, and how to mend it: `ml-stevedore doctor`.

Each check gives findings and never raises. None changes anything but the store.
"""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from rich.filesize import decimal

from stevedore_build.drafts import abandoned_drafts
from stevedore_build.errors import EngineFailed, LockStale, ToolFailed
from stevedore_build.images.engines import ENGINES, Engine
from stevedore_build.layouts.interpreters import is_here
from stevedore_build.layouts.serving import fresh
from stevedore_build.processes import git, run
from stevedore_build.wheels.history import is_shallow
from stevedore_build.workspace import Workspace
from stevedore_core.errors import DocumentInvalid, StevedoreError
from stevedore_core.manifest import Manifest

__all__ = ["Finding", "diagnose", "findings_to_json"]

_ROOM_BYTES: Final = 3_000_000_000
"""Layers and images of a few models with scikit-learn and ONNX Runtime take about 2 GB."""

_MINOR: Final = "3.11"
"""The Python of images, where no composition says another."""

_VENV: Final = (
    "import ensurepip, platform, sys, venv\n"
    "print(platform.python_version())\n"
    "sys.exit(sys.version_info < (3, 11))"
)
_DAY_S: Final = 86_400

_State = Literal["ok", "warn", "missing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at. Without what is `missing` nothing works."""

    state: _State
    about: str
    found: str
    mend: str = ""
    """What to do; empty if nothing has to be done."""

    def __str__(self) -> str:
        """Return it as one line."""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.state:<8} {self.about}: {' '.join(self.found.split())}{mend}"


def diagnose(
    workspace: Workspace | None,
    *,
    engines: Sequence[Engine] = ENGINES,
    python: str = "python3",
    room_bytes: int = _ROOM_BYTES,
) -> Iterator[Finding]:
    """Yield what is found on this machine and, if there is one, in a workspace.

    `python` is what make would start, `room_bytes` how much has to be free on each disk.
    """
    yield _python(python)
    yield _program("make", "every command of the README is a target of make")
    yield _program("git", "wheels are built from the files that git tracks")
    place = workspace.root if workspace else Path.cwd()
    yield _room("disk", place, "this directory", room_bytes)
    yield from _engine(engines, room_bytes)
    for minor in _minors(workspace):
        yield _image_python(minor)
    if workspace is not None:
        yield _drafts(workspace)
        if shutil.which("git"):
            yield from _history(workspace)
            yield from _locks(workspace)


def findings_to_json(findings: Sequence[Finding]) -> str:
    """Return findings as one line of JSON."""
    return json.dumps([asdict(finding) for finding in findings])


def _python(python: str) -> Finding:
    advice = (
        "install Python 3.11 or newer with venv (Debian: `apt-get install python3 python3-venv`)"
    )
    program = shutil.which(python)
    if program is None:
        return Finding(state="missing", about="python", found=f"no `{python}`", mend=advice)
    try:
        version = run([program, "-c", _VENV]).strip()
    except ToolFailed as error:
        found = f"`{program}` is older than 3.11 or lacks venv: {_last_line(error)}"
        mend = f"{advice}, or name another with `make tools PYTHON=…`"
        return Finding(state="missing", about="python", found=found, mend=mend)
    return Finding(state="ok", about="python", found=f"{version} with venv, `{program}`")


def _program(name: str, reason: str) -> Finding:
    program = shutil.which(name)
    if program is None:
        mend = f"{reason}: install it (Debian: `apt-get install {name}`)"
        return Finding(state="missing", about=name, found="not installed", mend=mend)
    version = run([program, "--version"]).splitlines()[0]
    return Finding(state="ok", about=name, found=f"{version}, `{program}`")


def _room(about: str, place: Path, called: str, room_bytes: int) -> Finding:
    free = shutil.disk_usage(place).free
    found = f"{decimal(free)} free for {called}, `{place}`"
    if free >= room_bytes:
        return Finding(state="ok", about=about, found=found)
    mend = f"free some: building needs up to {decimal(room_bytes)}"
    return Finding(state="warn", about=about, found=found, mend=mend)


def _engine(engines: Sequence[Engine], room_bytes: int) -> Iterator[Finding]:
    """Yield which engine is used, and how much room it has; where none works, why not."""
    tried = []
    for engine in engines:
        reason = engine.failure()
        if reason is None:
            yield Finding(state="ok", about="engine", found=f"`{engine.name}`: {engine.version()}")
            yield from _engine_room(engine, room_bytes)
            return
        tried.append(f"`{engine.name}` ({reason})")
    yield Finding(
        state="warn",
        about="engine",
        found=f"none works: tried {', '.join(tried)}",
        mend="images need one, serving and testing do not: install podman (Debian: `apt-get "
        "install podman`) or start docker",
    )


def _engine_room(engine: Engine, room_bytes: int) -> Iterator[Finding]:
    try:
        place = engine.storage()
    except EngineFailed as error:
        yield Finding(state="warn", about="engine disk", found=str(error))
        return
    if place.is_dir():  # else it is in another machine, as Colima's is
        yield _room("engine disk", place, f"images of {engine.name}", room_bytes)


def _minors(workspace: Workspace | None) -> Sequence[str]:
    """Return the Pythons that compositions ship."""
    found = {_MINOR}
    for manifest in workspace.root.glob("compositions/*/composition.toml") if workspace else ():
        with suppress(DocumentInvalid):  # told where its lock is looked at
            found.add(Manifest.parse(manifest).python)
    return sorted(found)


def _image_python(minor: str) -> Finding:
    if is_here(minor):
        return Finding(
            state="ok", about=f"python {minor}", found="here, for layouts and their tests"
        )
    return Finding(
        state="warn",
        about=f"python {minor}",
        found="not on this machine, and compositions run on it",
        mend=f"uv fetches it when it is needed, or install it (Debian: `apt-get install "
        f"python{minor} python{minor}-venv`)",
    )


def _drafts(workspace: Workspace) -> Finding:
    left = abandoned_drafts(workspace.store.drafts)
    if not left:
        return Finding(state="ok", about="drafts", found="none left behind")
    size = sum(
        path.lstat().st_size for draft in left for path in draft.rglob("*") if path.is_file()
    )
    found = f"{len(left)} with {decimal(size)} left behind by killed commands"
    mend = "the next command that builds removes them"
    return Finding(state="warn", about="drafts", found=found, mend=mend)


def _history(workspace: Workspace) -> Iterator[Finding]:
    """Yield whether older versions can be found, and whether the clock agrees with history."""
    try:
        shallow, last = is_shallow(workspace), _last_commit_s(workspace)
    except ToolFailed as error:
        mend = "wheels are built from the files that git tracks: `git init`"
        yield Finding(state="missing", about="history", found=_last_line(error), mend=mend)
        return
    if shallow:
        yield Finding(
            state="warn",
            about="history",
            found="this clone is shallow, and older versions of models are built from history",
            mend="run `git fetch --unshallow`",
        )
    elif last is None:
        yield Finding(state="warn", about="history", found="nothing is committed", mend="commit it")
    else:
        yield Finding(state="ok", about="history", found="complete")
    behind_s = (last or 0) - time.time()
    if behind_s > _DAY_S:
        found = f"the last commit is {behind_s / _DAY_S:.0f} days in the future"
        mend = "set the clock: certificates do not hold on a wrong one"
        yield Finding(state="warn", about="clock", found=found, mend=mend)


def _last_commit_s(workspace: Workspace) -> int | None:
    if not git("for-each-ref", "--count=1", cwd=workspace.root):
        return None
    return int(git("log", "-1", "--format=%ct", cwd=workspace.root))


def _locks(workspace: Workspace) -> Iterator[Finding]:
    try:
        names = workspace.compositions()
    except StevedoreError as error:
        yield Finding(state="missing", about="compositions", found=str(error))
        return
    for name in names:
        state: _State = "ok"
        found = "fresh"
        try:
            fresh(name, workspace=workspace)
        except StevedoreError as error:
            state = "warn" if isinstance(error, LockStale) else "missing"
            found = str(error)
        yield Finding(state=state, about=f"lock of {name}", found=found)


def _last_line(error: Exception) -> str:
    return str(error).splitlines()[-1]

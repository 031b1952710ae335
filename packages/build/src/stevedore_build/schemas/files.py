"""The schema files of a model package, written from the types that it declares.

`cli.schemas` calls it. The types are read where the model runs: in a process of its own, on the
layout of the model alone.
"""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stevedore_build.drafts import draft_directory
from stevedore_build.errors import CheckFailed, WorkspaceInvalid
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.layouts.joining import layout_alone
from stevedore_build.layouts.serving import PYTHON_ALONE
from stevedore_build.locks.locking import lock_aside
from stevedore_build.processes import git, run
from stevedore_build.schemas.compatibility import Change, compare
from stevedore_build.wheels.building import OwnWheels, build_exported
from stevedore_build.wheels.model_projects import project_problems
from stevedore_build.wheels.pins import shared_wheels
from stevedore_build.workspace import Package, Workspace
from stevedore_core.errors import BodyNotJson
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest
from stevedore_core.strict_json import Json, decode
from stevedore_core.worker_command import WorkerCommand

__all__ = ["SchemaFile", "schema_files", "text_of"]

_COLUMNS: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaFile:
    """A schema file that a type stands for."""

    path: Path
    """From the root of the workspace."""
    document: Json
    """What the type gives."""
    changes: tuple[Change, ...] | None
    """From what the file says to what the type gives; `None` if it says nothing yet."""

    @property
    def is_current(self) -> bool:
        """Whether the file says what the type gives; how it is laid out does not matter."""
        return self.changes == ()

    def write(self, root: Path) -> None:
        """Write what the type gives."""
        (root / self.path).write_text(text_of(self.document), encoding="utf-8")


def schema_files(name: str, *, workspace: Workspace) -> tuple[SchemaFile, ...]:
    """Return the schema files of a model for which it declares types.

    Raises `CheckFailed` if a type has no schema, `WorkspaceInvalid` if the model declares none.
    """
    package = workspace.model(name)
    source = package.directory.relative_to(workspace.root) / "src" / package.import_name
    declared = _declared(package, workspace)
    if not declared:
        raise WorkspaceInvalid(
            f"model `{name}` declares no types: expected `PredictPayload` or `ScorePayload` in "
            f"`{source / 'payloads.py'}`, found no such file among those that git tracks"
        )
    return tuple(
        SchemaFile(
            path=source / file,
            document=document,
            changes=_changes(workspace.root / source / file, document),
        )
        for file, document in declared.items()
    )


def _declared(package: Package, workspace: Workspace) -> dict[str, Json]:
    """Return by file name what the types of a model give."""
    lock = _types_alone(package, workspace)
    _, path = layout_alone(lock, store=workspace.store)
    python = find_interpreter(lock.python, store=workspace.store).program
    worker = WorkerCommand(python=python, import_path=path, models=(), threads=1)
    printed = run(
        [str(python), "-S", "-m", "stevedore_core.payload_types", package.folder],
        env=worker.environ(os.environ),
    )
    told: dict[str, dict[str, Json]] = json.loads(printed.splitlines()[-1])
    if "error" in told:
        raise CheckFailed(f"model `{package.folder}`: {told['error']}")
    return told["schemas"]


def _types_alone(package: Package, workspace: Workspace) -> Lock:
    """Return a lock with the Python of one model, and nothing that its schemas speak of.

    The files that are to be written, and examples that fit them only then, would make its wheel one
    that must not be shipped.
    """
    store = workspace.store
    if problems := project_problems(package):
        raise WorkspaceInvalid(f"{package.directory}: {'; '.join(problems)}")
    with draft_directory(store.drafts) as scratch:
        wheel = build_exported(_python_of(package, workspace, scratch), store=store)
    core, api = shared_wheels(workspace)
    wheels = OwnWheels(core=core, api=api, models={(package.folder, wheel.version): wheel})
    manifest = Manifest.of_model(package.folder, version=wheel.version, python=PYTHON_ALONE)
    return lock_aside(manifest, wheels, kept=store.locks / "types" / package.folder)


def _python_of(package: Package, workspace: Workspace, scratch: Path) -> Package:
    """Copy the project and the Python of a model, as far as git tracks them."""
    place = str(package.directory.relative_to(workspace.root))
    for file in git("ls-files", "-z", "--", place, cwd=workspace.root).split("\0"):
        inside, path = file.removeprefix(f"{place}/"), workspace.root / file
        is_wanted = "/" not in inside or (inside.startswith("src/") and inside.endswith(".py"))
        if inside and is_wanted and path.is_file() and not path.is_symlink():
            (scratch / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, scratch / inside)
    return replace(package, directory=scratch)


def _changes(file: Path, document: Json) -> tuple[Change, ...] | None:
    try:
        return compare(decode(file.read_bytes()), document)
    except (FileNotFoundError, BodyNotJson):
        return None


def text_of(document: Json) -> str:
    """Return a schema as it stands in a file: indented, but for what is short and holds little."""
    return f"{_text(document, 0, 0)}\n"


def _text(value: Json, indent: int, used: int) -> str:
    """Return a value that begins after `used` columns of a line that is indented by `indent`."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return flat
    items = list(value.values()) if isinstance(value, dict) else value
    is_little = not any(isinstance(item, dict) for item in items)
    if indent and is_little and used + len(flat) < _COLUMNS:  # a comma may follow
        return flat
    keys = [""] * len(items)
    if isinstance(value, dict):
        keys = [f"{json.dumps(key, ensure_ascii=False)}: " for key in value]
    margin = " " * (indent + 2)
    lines = [
        f"{margin}{key}{_text(item, indent + 2, indent + 2 + len(key))}"
        for key, item in zip(keys, items, strict=True)
    ]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([opening, ",\n".join(lines), " " * indent + closing])

"""Pythons with what a model requires, in which its package is trained and asked where it lies.

`models` and `fitted_files` call it. An environment holds third-party distributions only, so all
models with the same requirements share one; core and the package are read from their sources, or
core from its wheel.
"""

import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from stevedore_build.console import step
from stevedore_build.processes import run, uv_program
from stevedore_build.store import Store
from stevedore_build.wheels.own_packages import pinned_wheels
from stevedore_build.workspace import Workspace, is_own
from stevedore_core.model_package import GROUP

__all__ = ["PYTHON", "core_requires", "python_with", "run_in_package", "run_python"]

PYTHON: Final = "3.11"
"""The minor version on which a package is trained and asked."""

_HEAD: Final = re.compile(r"^# /// script\n((?:#.*\n)*?)# ///$", re.MULTILINE)


def python_with(requirements: Iterable[str], *, store: Store) -> Path:
    """Return a Python that has what is required, made where none has it.

    Raises `ToolFailed` if it cannot be had.
    """
    wanted = sorted(set(requirements))
    digest = hashlib.sha256("\0".join([PYTHON, *wanted]).encode()).hexdigest()
    place = store.environments / digest
    if not place.is_dir():
        with step("Installing what the model requires"), store.adding(place) as draft:
            run([uv_program(), "venv", "--quiet", "--no-project", "--python", PYTHON, str(draft)])
            into = ["--python", str(draft / "bin" / "python")]
            run([uv_program(), "pip", "install", "--quiet", *into, *wanted])
    return place / "bin" / "python"


def run_in_package(
    directory: Path, arguments: Sequence[str], *, workspace: Workspace, title: str
) -> str:
    """Run Python for a model package as if it were installed, and return what it printed.

    It has what the package requires and what the head of its `train.py` asks for. Raises
    `ToolFailed` with what was said if it ends with an error.
    """
    python = python_with(_requirements(directory, workspace), store=workspace.store)
    with step(title), _metadata(directory) as metadata:
        path = [directory / "src", _core(workspace)[0], metadata]
        variables = {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONSAFEPATH": "1"}
        return run_python(python, arguments, cwd=directory, variables=variables)


def run_python(
    python: Path, arguments: Sequence[str], *, cwd: Path, variables: Mapping[str, str]
) -> str:
    """Run one of these Pythons, and return what it printed. Raises `ToolFailed`."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    outer = {name: value for name, value in os.environ.items() if name not in left_out}
    # Bytecode is kept, as compiling takes longer than what runs, but not beside sources.
    bytecode = {"PYTHONPYCACHEPREFIX": str(python.parents[1] / "bytecode")}
    return run([str(python), *arguments], cwd=cwd, env={**outer, **bytecode, **variables})


def core_requires(workspace: Workspace) -> list[str]:
    """Return what core requires."""
    return _core(workspace)[1]


def _core(workspace: Workspace) -> tuple[Path, list[str]]:
    """Return where core is imported from, its sources or its wheel, and what it requires."""
    shared = workspace.shared_packages()
    if shared:
        return shared[0].directory / "src", _project(shared[0].directory)["dependencies"]
    wheel, _ = pinned_wheels(workspace)
    return wheel.path, [line for line in wheel.requires if "extra ==" not in line]


def _requirements(directory: Path, workspace: Workspace) -> list[str]:
    """Return the third-party requirements of a package, of its `train.py` and of core."""
    script = (directory / "train.py").read_text(encoding="utf-8")
    head = _HEAD.search(script)
    lines = [] if head is None else [line.removeprefix("#") for line in head[1].splitlines()]
    asked: list[str] = tomllib.loads("\n".join(lines)).get("dependencies", [])
    named = [*asked, *_project(directory)["dependencies"]]
    return [text for text in named if not is_own(Requirement(text).name)] + core_requires(workspace)


def _project(directory: Path) -> dict[str, list[str]]:
    project: dict[str, list[str]]
    project = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


@contextmanager
def _metadata(directory: Path) -> Iterator[Path]:
    """Give a directory that says of a package what an installer would say."""
    project = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    entries = project["entry-points"][GROUP]
    with tempfile.TemporaryDirectory() as scratch:
        info = Path(scratch, f"{name.replace('-', '_')}-{version}.dist-info")
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        lines = [f"[{GROUP}]", *(f"{key} = {value}" for key, value in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield Path(scratch)

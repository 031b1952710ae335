"""Serving a composition, or one model, on this machine without a container engine.

Unlike an image, what is served here may be ahead of its lock: then it says so.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from stevedore_build.console import notice
from stevedore_build.errors import LockStale
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.layouts.joining import make_layout
from stevedore_build.locks.locking import differences, lock_aside, refuse_released, refuse_stale
from stevedore_build.signing import KEY_VARIABLE
from stevedore_build.wheels.building import build_wheels
from stevedore_build.wheels.pins import INDEX_VARIABLE, refuse_other_than_released, wheels_of
from stevedore_build.workspace import CACHE_VARIABLE, Workspace
from stevedore_core.errors import DocumentInvalid
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = [
    "PYTHON_ALONE",
    "Served",
    "composition_now",
    "fresh",
    "model_alone",
    "released_alone",
    "serve",
    "serving_command",
]

PYTHON_ALONE = "3.11"
"""The minor version on which a model without a composition is served."""

_FOR_TESTS = ("STEVEDORE_ENGINES", "STEVEDORE_REQUIRE_ENGINE", "STEVEDORE_TEST_DATA")
_NOT_SETTINGS = (*_FOR_TESTS, CACHE_VARIABLE, INDEX_VARIABLE, KEY_VARIABLE)
"""Variables that speak to others: the server would refuse them as settings it does not know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A manifest with a lock that says what the workspace holds now."""

    manifest: Manifest
    lock: Lock


def composition_now(name: str, *, workspace: Workspace) -> Served:
    """Return a composition as the workspace has it, and say where that differs from its lock."""
    directory = workspace.composition(name)
    manifest = Manifest.parse(directory / "composition.toml")
    kept = workspace.store.locks / "compositions" / name
    try:
        lock = Lock.read(directory)
    except DocumentInvalid as error:
        notice(f"not locked: {error}")
        return _locked_aside(manifest, workspace, kept=kept)
    wheels = wheels_of(manifest, workspace=workspace)
    found = differences(manifest, lock, wheels)
    if not found:
        return Served(manifest=manifest, lock=lock)
    notice(
        f"`{name}` is used as the workspace has it, not as it is locked: {'; '.join(found)}; "
        f"`make lock NAME={name}` locks it"
    )
    return _locked_aside(manifest, workspace, kept=kept, previous=lock)


def fresh(name: str, *, workspace: Workspace) -> tuple[Manifest, Lock]:
    """Return a composition as it is locked.

    Raises `LockStale` if the workspace moved on, `ReleaseRefused` if a released version did.
    """
    directory = workspace.composition(name)
    manifest = Manifest.parse(directory / "composition.toml")
    if not (directory / "lock.toml").exists():
        raise LockStale(f"`{name}` is not locked yet; run `make lock NAME={name}`")
    lock = Lock.read(directory)
    wheels = wheels_of(manifest, workspace=workspace)
    refuse_other_than_released(wheels, workspace=workspace)
    refuse_stale(manifest, lock, wheels)
    refuse_released(lock, root=workspace.root)
    return manifest, lock


def model_alone(name: str, *, workspace: Workspace) -> Served:
    """Return the composition of one model, which needs no manifest of its own."""
    package = workspace.model(name)
    wheels = build_wheels([package], workspace=workspace, store=workspace.store)
    version = wheels[package.distribution].version
    manifest = Manifest.of_model(name, version=version, python=PYTHON_ALONE)
    return _locked_aside(manifest, workspace, kept=workspace.store.locks / "models" / name)


def released_alone(name: str, version: str, *, workspace: Workspace, like: Lock) -> Served:
    """Return the composition of a released version of a model, with the pins of a lock it fits.

    Raises `ReleaseRefused` if what is found is not what was released.
    """
    manifest = Manifest.of_model(name, version=version, python=like.python)
    refuse_other_than_released(wheels_of(manifest, workspace=workspace), workspace=workspace)
    kept = workspace.store.locks / "releases" / f"{name}-{version}"
    return _locked_aside(manifest, workspace, kept=kept, previous=like)


def _locked_aside(
    manifest: Manifest, workspace: Workspace, *, kept: Path, previous: Lock | None = None
) -> Served:
    wheels = wheels_of(manifest, workspace=workspace)
    lock = lock_aside(manifest, wheels, kept=kept, previous=previous)
    return Served(manifest=manifest, lock=lock)


def serving_command(
    layout: Layout, *, python: Path, host: str, port: int
) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves a layout, and the environment to run it in."""
    path = os.pathsep.join(str(place) for place in layout.front_path())
    # -S: nothing that is installed beside Python is seen, as in the image.
    command = [str(python), "-S", "-m", "stevedore_api", "--layout", str(layout.root)]
    command += ["--host", host, "--port", str(port)]
    outer = {name: value for name, value in os.environ.items() if name not in _NOT_SETTINGS}
    return command, outer | {
        "PYTHONPATH": path,
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # a layer never changes once it is made
    }


def serve(served: Served, *, workspace: Workspace, host: str, port: int) -> NoReturn:
    """Become the server of a layout, so that signals reach it."""
    store = workspace.store
    layout = make_layout(served.manifest, served.lock, store=store)
    python = find_interpreter(served.lock.python, store=store).program
    command, environment = serving_command(layout, python=python, host=host, port=port)
    names = ", ".join(f"`{model.name}` {model.version}" for model in served.lock.models)
    notice(f"serving {names} on http://{host}:{port} (Swagger: http://{host}:{port}/docs)")
    os.execve(command[0], command, environment)  # noqa: S606 - a list, no shell

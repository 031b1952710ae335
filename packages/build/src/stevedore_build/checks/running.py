"""Testing a model alone and a composition together, on layouts. nox calls it through `cli.checks`.

The tests run in the Python they are given, which holds test tools and nothing that is tested.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import IO, Final

from stevedore_build.checks.gates import refuse_low_scores
from stevedore_build.checks.passed import already_passed, content_of, key_of, record_passed
from stevedore_build.console import notice
from stevedore_build.errors import CheckFailed, LayerRefused, WorkspaceInvalid
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.layouts.joining import layout_alone, make_layout
from stevedore_build.layouts.serving import composition_now, fresh, model_alone, serving_command
from stevedore_build.platforms import host_platform
from stevedore_build.processes import run
from stevedore_build.wheels.building import build_wheels
from stevedore_build.wheels.history import tests_from_history
from stevedore_build.workspace import Workspace
from stevedore_core.installed import differences
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = [
    "check_composition",
    "check_model",
    "composition_passed",
    "composition_tests",
    "refuse_other_than_locked",
    "run_pytest",
    "test_inputs",
    "test_variables",
]

_START_LIMIT_S: Final = 30.0
_STOP_LIMIT_S: Final = 15.0
_LOG_TAIL_BYTES: Final = 4_000


def check_model(
    name: str, *, workspace: Workspace, python: Path, options: Sequence[str] = ()
) -> None:
    """Test one model alone, once for every set of pins that some composition ships it with.

    `options` go to pytest; with any, the tests always run and nothing is recorded. Raises
    `CheckFailed`.
    """
    for lock, owners in _restricted_locks(name, workspace).items():
        title = f"model `{name}` {lock.version} alone, with the pins of {owners}"
        tests = _tests_of(name, lock.version, workspace)
        if tests is None:
            notice(f"{title}: not tested, git history has no tests of this version")
            continue
        key = _key(workspace, lock, _version(python, lock), [tests])
        if not options and already_passed(f"model-{name}", key, store=workspace.store):
            notice(f"{title}: passed before with the same content")
            continue
        notice(title)
        layout, path = layout_alone(lock, store=workspace.store)
        refuse_other_than_locked(layout, lock)
        variables = {"PYTHONPATH": os.pathsep.join(map(str, path))}
        run_pytest(python, [tests], options, workspace, variables)
        if not options:
            record_passed(f"model-{name}", key, store=workspace.store)


def check_composition(
    name: str, *, workspace: Workspace, python: Path, options: Sequence[str] = ()
) -> None:
    """Serve what a composition's lock says, and test it over HTTP.

    The tests, those of every composition and its own, find in `STEVEDORE_URL` where it is served,
    in `STEVEDORE_LAYOUT` what from, in `STEVEDORE_PYTHON` by which interpreter, and in
    `STEVEDORE_ALONE` the import path on which each model stands alone. `options` are as in
    `check_model`. Raises `CheckFailed`, and `LockStale` where the lock is not fresh.
    """
    manifest, lock = fresh(name, workspace=workspace)
    tests = composition_tests(name, workspace)
    key = _key(workspace, lock, _version(python, lock), tests)
    if not options and already_passed(f"composition-{name}", key, store=workspace.store):
        notice(f"composition `{name}`: passed before with the same content")
        return
    store = workspace.store
    layout = make_layout(manifest, lock, store=store)
    refuse_other_than_locked(layout, lock)
    interpreter = find_interpreter(lock.python, store=store).program
    with _served(layout, interpreter) as url:
        refuse_low_scores(url, manifest)
        variables = {"STEVEDORE_URL": url, **test_variables(manifest, lock, workspace)}
        run_pytest(python, tests, options, workspace, variables)
    if not options:
        record_passed(f"composition-{name}", key, store=store)


def composition_passed(name: str, *, workspace: Workspace) -> bool:
    """Tell whether each model of a composition alone, and all together, passed as they are now.

    Only what passed on the very Python that serves here counts; on another, tests run again.
    """
    _, lock = fresh(name, workspace=workspace)
    store = workspace.store
    python = find_interpreter(lock.python, store=store).version
    asked = [(f"composition-{name}", lock, composition_tests(name, workspace))]
    for model in lock.models:
        tests = _tests_of(model.name, model.version, workspace)
        if tests is not None:
            alone = lock.restrict(model.name, model.version)
            asked.append((f"model-{model.name}", alone, [tests]))
    return all(
        already_passed(check, _key(workspace, locked, python, tests), store=store)
        for check, locked, tests in asked
    )


def composition_tests(name: str, workspace: Workspace) -> list[Path]:
    """Return the directories of tests that ask a composition over HTTP, its own last.

    `tests/composition` asks what every composition promises; either may do without the other.
    """
    every, own = workspace.root / "tests" / "composition", workspace.composition(name) / "tests"
    return [directory for directory in (every, own) if directory.is_dir()] or [own]


def test_variables(manifest: Manifest, lock: Lock, workspace: Workspace) -> dict[str, str]:
    """Return what the tests of a composition find in their environment, but for the URL."""
    interpreter = find_interpreter(lock.python, store=workspace.store).program
    return {
        "STEVEDORE_LAYOUT": str(make_layout(manifest, lock, store=workspace.store).root),
        "STEVEDORE_PYTHON": str(interpreter),
        "STEVEDORE_ALONE": json.dumps(_paths_alone(lock, workspace)),
    }


def test_inputs(tests: Sequence[Path], workspace: Workspace) -> dict[str, str]:
    """Return the digests of tests and of all that runs them, whatever is tested."""
    return {
        "tests": content_of(*tests),
        "tools": content_of(workspace.root / "requirements" / "test.txt"),
        "settings": content_of(workspace.root / "pyproject.toml", workspace.root / "conftest.py"),
        "build": content_of(Path(__file__).parents[1]),
    }


def refuse_other_than_locked(layout: Layout, lock: Lock) -> None:
    """Raise `LayerRefused` unless a layout holds exactly the distributions of a lock."""
    if found := differences(layout, lock):
        raise LayerRefused(
            f"{layout.root}: what is installed is not what is locked: {'; '.join(found)}"
        )


def _restricted_locks(name: str, workspace: Workspace) -> Mapping[Lock, str]:
    """Return the distinct locks of one model alone, and whose they are.

    One for every version and set of pins that some composition ships; the version that the
    workspace has is among them, whether it is shipped or not.
    """
    owners: dict[Lock, list[str]] = {}
    for composition in workspace.compositions():
        directory = workspace.composition(composition)
        manifest = Manifest.parse(directory / "composition.toml")
        if versions := [pin.version for pin in manifest.models if pin.name == name]:
            lock = composition_now(composition, workspace=workspace).lock
            for version in versions:
                owners.setdefault(lock.restrict(name, version), []).append(composition)
    locks = {
        lock: ", ".join(f"composition `{owner}`" for owner in names)
        for lock, names in owners.items()
    }
    here = _version_here(name, workspace)
    if here not in {lock.version for lock in locks}:
        notice(f"model `{name}` {here} is in no composition: it is tested with its own lock")
        locks[model_alone(name, workspace=workspace).lock.restrict(name)] = f"`{name}` alone"
    return locks


def _tests_of(name: str, version: str, workspace: Workspace) -> Path | None:
    """Return the tests that belong to a version of a model, `None` if they are nowhere."""
    if version == _version_here(name, workspace):
        return workspace.model(name).directory / "tests"
    return tests_from_history(name, version, workspace=workspace)


def _version_here(name: str, workspace: Workspace) -> str | None:
    """Return the version at which the workspace has a model, `None` if it has the model no more."""
    packages = [package for package in workspace.models() if package.folder == name]
    wheels = build_wheels(packages, workspace=workspace, store=workspace.store)
    return next((wheel.version for wheel in wheels.values()), None)


def _paths_alone(lock: Lock, workspace: Workspace) -> Mapping[str, str]:
    """Return, for every model as reports call it, the import path of a layout with no other."""
    paths: dict[str, str] = {}
    for model, key in lock.keys.items():
        alone = lock.restrict(model.name, model.version)
        _, path = layout_alone(alone, store=workspace.store)
        paths[key] = os.pathsep.join(map(str, path))
    return paths


def _version(python: Path, lock: Lock) -> str:
    """Return the full version of the Python that tests run in; it must be what is locked."""
    version = run([str(python), "-c", "import platform; print(platform.python_version())"]).strip()
    if not version.startswith(f"{lock.python}."):
        raise CheckFailed(f"the tests run on Python {version}, and the lock is for {lock.python}")
    return version


def _key(workspace: Workspace, lock: Lock, python: str, tests: Sequence[Path]) -> str:
    """Return the key of a check: all that can change its outcome is a part of it."""
    for directory in tests:
        if not any(directory.glob("**/test_*.py")):
            raise WorkspaceInvalid(f"{directory}: no `test_*.py` found; there must be at least one")
    return key_of(
        {
            "lock": lock.digest,
            **test_inputs(tests, workspace),
            "python": [python, find_interpreter(lock.python, store=workspace.store).version],
            "platform": host_platform().name,
        }
    )


def run_pytest(
    python: Path,
    tests: Sequence[Path],
    options: Sequence[str],
    workspace: Workspace,
    variables: Mapping[str, str],
) -> None:
    """Run some directories of tests in a Python. Raises `CheckFailed`."""
    places = [str(directory) for directory in tests]
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *places, *options]
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(  # noqa: S603 - a list, never a shell
        command, cwd=workspace.root, env={**environment, **variables}, check=False
    )
    if done.returncode != 0:
        names = ", ".join(str(directory.relative_to(workspace.root)) for directory in tests)
        raise CheckFailed(f"{names}: tests failed, see above")


@contextmanager
def _served(layout: Layout, python: Path) -> Iterator[str]:
    """Serve a layout on a free port of this machine; stop it in the end, come what may."""
    with socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    command, environment = serving_command(layout, python=python, host="127.0.0.1", port=port)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - a list, never a shell
            command, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await_live(url, process, log)
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # SIGTERM would have it wait for more requests
            try:
                process.wait(timeout=_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_live(url: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    # Imported here, as it takes a third of the time of a command that finds everything passed.
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    give_up = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/livez", timeout=1):  # noqa: S310 - http, ours
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.05)
    log.seek(0)
    said = log.read()[-_LOG_TAIL_BYTES:].decode(errors="replace")
    ended = f"ended with {process.returncode}" if process.poll() is not None else "does not answer"
    raise CheckFailed(f"the server of the composition {ended}; it said:\n{said}")

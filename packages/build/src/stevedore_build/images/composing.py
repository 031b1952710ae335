"""A composition in a container engine: its image built, its container run, stopped and tested.

Called by the command line for `make compose`, `make base`, `make run` and `make stop`.
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.filesize import decimal

from stevedore_build.checks.gates import refuse_low_scores
from stevedore_build.checks.passed import already_passed, key_of, record_passed
from stevedore_build.checks.running import (
    composition_tests,
    run_pytest,
    test_inputs,
    test_variables,
)
from stevedore_build.console import notice, step
from stevedore_build.errors import CheckFailed, EngineFailed
from stevedore_build.images.bases import base_name, find_base, make_base
from stevedore_build.images.building import (
    IMAGE_PORT,
    Image,
    build_image,
    containerfile_of,
    probe_command,
    write_context,
)
from stevedore_build.images.engines import Engine
from stevedore_build.layouts.layers import layers_of
from stevedore_build.layouts.serving import fresh
from stevedore_build.platforms import LINUX_AMD64, Platform
from stevedore_build.workspace import Workspace

__all__ = [
    "check_image",
    "compose_context",
    "compose_image",
    "image_passed",
    "renew_base",
    "run_container",
    "stop_container",
]

_START_LIMIT_S: Final = 30.0
_STOP_LIMIT_S: Final = 30
"""Engines kill after 10 s; a server takes up to 25 s to answer what it accepted."""
_LEAST_RIGHTS: Final = ("--cap-drop=all", "--security-opt=no-new-privileges")


def compose_image(
    name: str, *, workspace: Workspace, engine: Engine, platform: Platform = LINUX_AMD64
) -> Image:
    """Return a composition's image as it is locked, built if the engine does not have it yet.

    Raises `LockStale`, `BaseUnusable`, `LayerRefused` or `EngineFailed`.
    """
    manifest, lock = fresh(name, workspace=workspace)
    store = workspace.store
    with step(f"base image for {engine.name}"):
        base = find_base(
            engine, reference=lock.base, python=lock.python, platform=platform, store=store
        )
    libraries = frozenset(base.libraries)
    layers = layers_of(manifest, lock, store=store, platform=platform, libraries=libraries)
    with step(f"image of `{name}` for {engine.name}"):
        image = build_image(
            lock, engine=engine, base=base, layers=layers, store=store, platform=platform
        )
    if image.built:
        sizes = ", ".join(f"{layer} {decimal(size)}" for layer, size in image.layer_bytes)
        notice(f"layers of {image.reference}: {sizes}")
    return image


def compose_context(name: str, *, workspace: Workspace, platform: Platform = LINUX_AMD64) -> Path:
    """Return the build context of a composition, for whatever engine is elsewhere.

    Nobody can look into the base here, so it is taken by its name and not checked.
    """
    manifest, lock = fresh(name, workspace=workspace)
    store = workspace.store
    base = lock.base or base_name(lock.python, platform)
    layers = layers_of(manifest, lock, store=store, platform=platform, libraries=None)
    containerfile = containerfile_of(lock, base=base, base_name=base, layers=layers)
    return write_context(containerfile, layers, store)


def renew_base(
    name: str, *, workspace: Workspace, engine: Engine, platform: Platform = LINUX_AMD64
) -> str:
    """Make our base anew for a composition's Python and return its name."""
    _, lock = fresh(name, workspace=workspace)
    with step(f"base image for {engine.name}"):
        make_base(engine, python=lock.python, platform=platform, store=workspace.store, renew=True)
    return base_name(lock.python, platform)


def run_container(name: str, *, workspace: Workspace, engine: Engine, port: int) -> str:
    """Run a composition's image in the background and return where it answers.

    A container of the same composition that runs already is replaced. It gets no right that it
    does not need.
    """
    image = compose_image(name, workspace=workspace, engine=engine)
    stop_container(name, engine=engine)
    try:
        _start(engine, image.reference, container=_container(name), publish=f"127.0.0.1:{port}")
        _await_ready(engine, _container(name), image.python)
    except BaseException:
        engine.discard(_container(name))
        raise
    return f"http://127.0.0.1:{port}"


def stop_container(name: str, *, engine: Engine) -> bool:
    """Stop and remove a composition's container; say whether there was one."""
    there = engine.run("ps", "--all", "--quiet", "--filter", f"name=^{_container(name)}$")
    if there:
        engine.run("stop", f"--time={_STOP_LIMIT_S}", _container(name))
        engine.discard(_container(name))
    return bool(there)


def check_image(
    name: str,
    *,
    workspace: Workspace,
    engine: Engine,
    python: Path,
    options: Sequence[str] = (),
) -> Image:
    """Test a composition's image: what an image must hold, and the composition over HTTP.

    The latter reach a container that has the least rights, and find `STEVEDORE_URL` and so on as
    without an image. `options` go to pytest; with any, nothing is recorded. Raises `CheckFailed`.
    """
    image = compose_image(name, workspace=workspace, engine=engine)
    manifest, lock = fresh(name, workspace=workspace)
    tests = _tests(name, workspace)
    check, key = _check(name, engine), _key(image, tests, workspace)
    if not options and already_passed(check, key, store=workspace.store):
        notice(f"image {image.reference} in {engine.name}: passed before with the same content")
        return image
    notice(f"image {image.reference} in {engine.name}")
    with _running(engine, image) as url:
        refuse_low_scores(url, manifest)
        variables = {
            **test_variables(manifest, lock, workspace),
            "STEVEDORE_URL": url,
            "STEVEDORE_IMAGE": image.reference,
            "STEVEDORE_ENGINE": json.dumps(engine.command),
            "STEVEDORE_READ_ONLY": json.dumps(engine.read_only),
            "STEVEDORE_COMPOSITION": str(workspace.composition(name)),
        }
        run_pytest(python, tests, options, workspace, variables)
    if not options:
        record_passed(check, key, store=workspace.store)
    return image


def image_passed(name: str, *, workspace: Workspace, engine: Engine) -> Image | None:
    """Return a composition's image if it passed its tests as it is now, built if it is gone."""
    image = compose_image(name, workspace=workspace, engine=engine)
    key = _key(image, _tests(name, workspace), workspace)
    return image if already_passed(_check(name, engine), key, store=workspace.store) else None


def _tests(name: str, workspace: Workspace) -> list[Path]:
    """Return the tests of what every image holds, where a workspace has such, and of this one."""
    every = workspace.root / "tests" / "image"
    return [*([every] if every.is_dir() else []), *composition_tests(name, workspace)]


def _check(name: str, engine: Engine) -> str:
    return f"image-{name}-{engine.name}"


def _key(image: Image, tests: Sequence[Path], workspace: Workspace) -> str:
    """Return the key of an image's tests: all that can change their outcome is a part of it."""
    return key_of({"image": image.identity, **test_inputs(tests, workspace)})


def _container(name: str) -> str:
    return f"ml-py-stevedore-{name}"


def _start(engine: Engine, image: str, *, container: str, publish: str) -> None:
    published = f"{publish}:{IMAGE_PORT}"
    flags = ["--detach", "--name", container, "--publish", published]
    engine.run("run", *flags, *engine.read_only, *_LEAST_RIGHTS, image)


@contextmanager
def _running(engine: Engine, image: Image) -> Iterator[str]:
    """Run an image on a free port; remove the container in the end, come what may."""
    container = f"stevedore-test-{uuid.uuid4()}"
    try:
        _start(engine, image.reference, container=container, publish="127.0.0.1:")
        _await_ready(engine, container, image.python)
        address = engine.run("port", container, f"{IMAGE_PORT}/tcp").splitlines()[0]
        yield f"http://{address}"
    finally:
        engine.discard(container)


def _await_ready(engine: Engine, container: str, python: str) -> None:
    """Wait until the image's own probe says that it is ready. Raises `CheckFailed`."""
    give_up = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up:
        try:
            engine.run("exec", container, *probe_command(python))
        except EngineFailed:
            if engine.run("inspect", "--format", "{{.State.Running}}", container) != "true":
                break
            time.sleep(0.1)
        else:
            return
    message = f"the container ended, or was not ready after {_START_LIMIT_S:.0f} s; it said:\n"
    raise CheckFailed(message + engine.logs(container))

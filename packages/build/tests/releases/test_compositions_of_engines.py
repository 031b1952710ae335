"""A release in a real engine: its image is recorded, rolled back to, pushed and run again."""

import json
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest
import tiny

from stevedore_build.errors import CheckFailed
from stevedore_build.images.composing import compose_image
from stevedore_build.images.engines import Engine
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.releases.compositions import push_release, release_composition
from stevedore_build.tags import find_tag, write_tag
from stevedore_build.versions import Part
from stevedore_build.wheels.history import checkout_at
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.manifest import Manifest

SERVER = '''
"""Says READY to everyone, here and in a container."""
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'"READY"')

given = sys.argv[sys.argv.index("--port") + 1] if "--port" in sys.argv else None
host = os.environ.get("STEVEDORE_HOST", "127.0.0.1")
port = int(given or os.environ["STEVEDORE_PORT"])
http.server.HTTPServer((host, port), Handler).serve_forever()
'''
PROBE = '''
"""Fails until the server answers."""
import os, urllib.request

urllib.request.urlopen(f"http://127.0.0.1:{os.environ['STEVEDORE_PORT']}/readyz").read()
'''


@pytest.fixture
def name(engine: Engine) -> Iterator[str]:
    """The name of a composition that no one else has; its images are gone after the test."""
    found = f"composition-releases-{uuid.uuid4().hex[:8]}"
    yield found
    for version in ("1.0.0", "1.1.0"):
        if engine.find_image(f"{engine.local}{found}:{version}"):
            engine.run("rmi", "--force", f"{engine.local}{found}:{version}")


@pytest.fixture
def repository(workspace: Workspace, index: Path, name: str) -> Workspace:
    """A repository with a composition of that name, which holds the released model `adder`."""
    root = workspace.root
    tiny.use_real_core(root, index)
    tiny.write(root / "packages/api/src/stevedore_api/__main__.py", SERVER)
    tiny.write(root / "packages/api/src/stevedore_api/probe.py", PROBE)
    tiny.write(root / ".gitignore", ".stevedore/\n__pycache__/\ndist/\n")
    tiny.write(root / "tests/image/test_image.py", "def test_image():\n    assert True\n")
    (root / "compositions/pair").rename(root / "compositions" / name)
    tiny.name_author(root)
    pin_adder(workspace, name, "1.0.0", step=1)
    return workspace


def pin_adder(workspace: Workspace, name: str, version: str, *, step: int) -> None:
    """Move `adder` to a version, release it, and have the composition pin and lock it."""
    tiny.add_adder(workspace.root, version=version, step=step)
    directory = workspace.root / "compositions" / name
    text = f'name = "{name}"\nversion = "1.0.0"\npython = "3.11"\n\n[models]\nadder = "{version}"\n'
    tiny.write(directory / "composition.toml", text)
    tiny.track(workspace.root)
    manifest = Manifest.parse(directory / "composition.toml")
    locked = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    locked.write(directory)
    tiny.commit(workspace.root)
    trailers = {"Sha256": locked.models[0].sha256}
    write_tag("models", "adder", version, subject="R", trailers=trailers, root=workspace.root)


def release(name: str, workspace: Workspace, engine: Engine, part: Part | None = None) -> str:
    """Release the composition; return its image as the tag records it."""
    found = release_composition(
        name,
        workspace=workspace,
        engines=(engine,),
        python=Path(sys.executable),
        part=part,
        on=date(2026, 1, 31),
    )
    version = found.tag.rpartition("-v")[2]
    tag = find_tag("compositions", name, version, root=workspace.root)
    assert tag is not None
    image = tag.trailer(f"Image-{engine.name}")
    assert engine.find_image(found.images[0]) == image
    return image


def layers(engine: Engine, image: str) -> object:
    """Return the digests of an image's layers."""
    return json.loads(engine.run("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))


def test_release_roll_back_push_and_run(
    repository: Workspace, name: str, engine: Engine, registry: str
) -> None:
    """The way of a release to another machine, and back to the release before it."""
    first = release(name, repository, engine)
    before = layers(engine, first)
    refuse_what_fails(name, repository, engine)
    pin_adder(repository, name, "1.1.0", step=2)
    second = release(name, repository, engine, "minor")
    assert layers(engine, second) != before

    engine.run("rmi", "--force", f"{engine.local}{name}:1.0.0")
    tag = find_tag("compositions", name, "1.0.0", root=repository.root)
    assert tag is not None
    with checkout_at(tag.commit, workspace=repository) as then:
        again = compose_image(name, workspace=then, engine=engine)
    assert again.built
    assert layers(engine, again.identity) == before
    if engine.name == "podman":
        assert again.identity == first

    pushed = push_release(name, workspace=repository, engine=engine, registry=registry)
    noted = repository.root / "dist/releases" / f"{name}-1.1.0" / "digests.txt"
    assert noted.read_text() == f"{pushed.reference}\n"
    assert pushed.reference.startswith(f"{registry}/{name}@sha256:")
    engine.run("rmi", "--force", f"{engine.local}{name}:1.1.0")
    assert engine.find_image(second) is None
    assert engine.pull(pushed.reference, plain_http=True) == second
    try:
        assert answer(engine, pushed.reference) == '"READY"'
    finally:
        engine.run("rmi", "--force", pushed.reference)


def refuse_what_fails(name: str, workspace: Workspace, engine: Engine) -> None:
    """See that an image which does not pass is never called by the name of a release."""
    tests = workspace.root / "tests/image/test_image.py"
    passing = tests.read_text()
    tiny.write(tests, "def test_image():\n    assert False\n")
    tiny.commit(workspace.root)
    with pytest.raises(CheckFailed):
        release(name, workspace, engine, "minor")
    assert engine.find_image(f"{engine.local}{name}:1.1.0") is None
    tiny.write(tests, passing)


def answer(engine: Engine, image: str) -> str:
    """Run an image, and return what it says to `/readyz` from outside."""
    container = f"composition-releases-{uuid.uuid4()}"
    try:
        engine.run("run", "--detach", "--name", container, "--publish", "127.0.0.1::8000", image)
        address = engine.run("port", container, "8000/tcp").splitlines()[0]
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            try:
                return httpx.get(f"http://{address}/readyz").text
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(engine.logs(container))
    finally:
        engine.discard(container)

"""Fixtures: a tiny repository, an index of tiny wheels in place of the network, real engines."""

import io
import os
import shutil
import socket
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import httpx
import pytest
import tiny

from stevedore_build.images.engines import ENGINES, Engine
from stevedore_build.layouts.layers import Layer
from stevedore_build.store import Store
from stevedore_build.workspace import Workspace
from stevedore_core.layout import IMAGE_ROOT
from stevedore_core.manifest import Manifest

_NAMES = os.environ.get("STEVEDORE_ENGINES", "podman docker").split()
_REQUIRED = os.environ.get("STEVEDORE_REQUIRE_ENGINE") == "1"


@pytest.fixture(scope="session", autouse=True)
def _without_plugins() -> Iterator[None]:
    """Pytest that a test starts loads none: that would take longer than the tests it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with what every tiny repository would make first, and all of them alike."""
    place = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        tiny.offline(patch, index=place, cache=place / "uv-cache")
        workspace = tiny.make_repository(place / "repository")
        manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
        return tiny.lay_out(manifest, workspace)


@pytest.fixture(scope="session")
def kept_adder(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Path:
    """The same for repositories with our own core and the model `adder`."""
    with pytest.MonkeyPatch.context() as patch:
        workspace = tiny.make_adder(tmp_path_factory.mktemp("kept"), patch, kept=kept)
        return tiny.lay_out(tiny.ADDER_ALONE, workspace)


@pytest.fixture(scope="module")
def adder_repository(
    tmp_path_factory: pytest.TempPathFactory, kept_adder: Path
) -> Iterator[Workspace]:
    """A repository with our own core and the model `adder`, for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        yield tiny.make_adder(tmp_path_factory.mktemp("adder"), patch, kept=kept_adder)


@pytest.fixture
def workspace(tmp_path: Path, kept: Path) -> Workspace:
    """A repository with core, api, the models iris and digits, and the composition `pair`."""
    return tiny.make_repository(tmp_path / "repository", kept=kept)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of third-party wheels: all that uv sees. Nothing asks the network."""
    directory = tmp_path / "index"
    directory.mkdir()
    tiny.offline(monkeypatch, index=directory, cache=tmp_path / "uv-cache")
    return directory


@pytest.fixture(params=_NAMES, scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine that works; where it does not, the test is left out unless it is required."""
    found = {engine.name: engine for engine in ENGINES}[request.param]
    reason = found.failure()
    if reason:
        (pytest.fail if _REQUIRED else pytest.skip)(f"{found.name}: {reason}")
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Where generated things lie."""
    return Store(root=tmp_path / "store")


@pytest.fixture
def make_image(engine: Engine, tmp_path: Path) -> Iterator[Callable[[dict[str, bytes]], str]]:
    """Make an image from a few files, under a name that is gone after the test."""
    names: list[str] = []

    def make(files: dict[str, bytes]) -> str:
        name = f"localhost/stevedore-test:{uuid.uuid4()}"
        context = tmp_path / name.rpartition(":")[2]
        context.mkdir()
        with tarfile.open(context / "files.tar", "w") as archive:
            for file, content in files.items():
                entry = tarfile.TarInfo(file)
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
        (context / "Containerfile").write_text("FROM scratch\nADD files.tar /\n")
        engine.run("tag", engine.build(context), name)
        names.append(name)
        return name

    yield make
    for name in names:
        engine.run("rmi", "--force", name)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """An empty container registry on this machine: its host and port."""
    program = shutil.which("docker-registry")
    if program is None:
        (pytest.fail if _REQUIRED else pytest.skip)("`docker-registry` is not installed")
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    settings = tmp_path / "registry.yml"
    settings.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path / 'registry'}}}}}\n"
        f"http: {{addr: {address}}}\n"
    )
    log = (tmp_path / "registry.log").open("wb")
    with log, subprocess.Popen([program, "serve", settings], stdout=log, stderr=log) as process:
        try:
            _await_answer(f"http://{address}/v2/", process)
            yield address
        finally:
            process.terminate()


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 10
    while True:
        try:
            httpx.get(url).raise_for_status()
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def make_layer(tmp_path: Path) -> Callable[..., Layer]:
    """Make a layer that holds one file; its text is its digest."""

    def make(target: str, text: str, *, at: str = "layers") -> Layer:
        name = str(PurePosixPath(target).relative_to(IMAGE_ROOT))
        directory = tmp_path / at / name / text[:40]
        directory.mkdir(parents=True)
        (directory / "content.txt").write_text(text)
        return Layer(name=name, digest=text, directory=directory)

    return make

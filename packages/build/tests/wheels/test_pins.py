"""A pinned version comes from the first place that has it, and is the same wheel from each."""

import base64
import hashlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import create_connection, socket

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.errors import IndexFailed, LockStale, ReleaseRefused, WorkspaceInvalid
from stevedore_build.layouts.serving import composition_now
from stevedore_build.locks.locking import lock_manifest, refuse_stale
from stevedore_build.tags import write_tag
from stevedore_build.wheels.building import OwnWheel
from stevedore_build.wheels.index import download
from stevedore_build.wheels.pins import WHEEL_STORE, refuse_other_than_released, wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

HEAD = 'name = "pair"\nversion = "1.0.0"\npython = "3.11"\n\n[models]\n'
FILE = "stevedore_model_iris-1.0.0-py3-none-any.whl"


def manifest(models: str = 'iris = "1.0.0"\n', more: str = "") -> Manifest:
    """Return a manifest with these lines under `[models]`."""
    return Manifest.from_text(HEAD + models + more, file="composition.toml")


def iris(workspace: Workspace, asked: Manifest | None = None) -> OwnWheel:
    """Return the wheel of iris 1.0.0."""
    return wheels_of(asked or manifest(), workspace=workspace).models["iris", "1.0.0"]


@pytest.fixture
def moved_on(workspace: Workspace) -> tuple[Workspace, OwnWheel]:
    """A repository whose iris is at 1.1.0 now, and the wheel of iris 1.0.0; no tag."""
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/data.txt", "old")
    tiny.commit(workspace.root)
    old = iris(workspace)
    tiny.add_model(workspace.root, "iris", version="1.1.0")
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/data.txt", "new")
    tiny.commit(workspace.root)
    shutil.rmtree(workspace.store.root)
    return workspace, old


def test_workspace_first(moved_on: tuple[Workspace, OwnWheel]) -> None:
    """What the workspace has at the pinned version is taken from it, committed or not."""
    workspace, _ = moved_on
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/data.txt", "newer")
    pinned = manifest('iris = "1.1.0"\n')
    before = wheels_of(pinned, workspace=workspace).models["iris", "1.1.0"]
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=workspace.root, check=True)
    assert wheels_of(pinned, workspace=workspace).models["iris", "1.1.0"] != before


def test_history(moved_on: tuple[Workspace, OwnWheel], capsys: pytest.CaptureFixture[str]) -> None:
    """An older version is built from the last commit that had it, and nothing else gets in."""
    workspace, old = moved_on
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/more.py", "")
    assert iris(workspace).sha256 == old.sha256
    assert "`iris` 1.0.0 is taken from git history, commit " in capsys.readouterr().err


def test_history_of_a_changed_version(moved_on: tuple[Workspace, OwnWheel]) -> None:
    """Of several commits with one version, the last counts."""
    workspace, old = moved_on
    tiny.add_model(workspace.root, "iris", version="1.0.0")
    tiny.commit(workspace.root)
    tiny.add_model(workspace.root, "iris", version="1.2.0")
    tiny.commit(workspace.root)
    assert iris(workspace).sha256 != old.sha256


def test_history_of_a_dynamic_version(workspace: Workspace) -> None:
    """A version that stands in the code is found there."""
    project = workspace.root / "models/iris/pyproject.toml"
    text = project.read_text().replace('version = "1.0.0"', 'dynamic = ["version"]')
    code = "src/stevedore_model_iris/__init__.py"
    project.write_text(f'{text}\n[tool.hatch.version]\npath = "{code}"\n')
    tiny.write(workspace.root / "models/iris" / code, '__version__ = "1.0.0"\n')
    tiny.commit(workspace.root)
    old = iris(workspace)
    tiny.write(workspace.root / "models/iris" / code, '__version__ = "1.1.0"\n')
    tiny.commit(workspace.root)
    assert iris(workspace).sha256 == old.sha256


def test_history_with_a_byte_that_is_no_text(moved_on: tuple[Workspace, OwnWheel]) -> None:
    """The commit counts all the same: its build tells what is wrong, and no older one is taken."""
    workspace, _ = moved_on
    project = tiny.add_model(workspace.root, "iris", version="1.0.0") / "pyproject.toml"
    project.write_bytes(project.read_bytes() + b"# \xff\n")
    tiny.commit(workspace.root)
    tiny.add_model(workspace.root, "iris", version="1.2.0")
    tiny.commit(workspace.root)
    with pytest.raises(WorkspaceInvalid, match="can't decode byte 0xff"):
        iris(workspace)


def test_history_of_a_model_that_is_gone(moved_on: tuple[Workspace, OwnWheel]) -> None:
    """A model that the workspace has no more can still be pinned."""
    workspace, old = moved_on
    shutil.rmtree(workspace.root / "models/iris")
    tiny.commit(workspace.root)
    assert iris(workspace).sha256 == old.sha256


def test_history_that_was_never_valid(workspace: Workspace) -> None:
    """A commit whose pyproject cannot be read is passed over."""
    project = workspace.root / "models/iris/pyproject.toml"
    good = project.read_text()
    for text in ("[project", "project = 1", "[project]"):
        project.write_text(text)
        tiny.commit(workspace.root)
    project.write_text(good)
    with pytest.raises(WorkspaceInvalid, match="nor git history has it"):
        wheels_of(manifest('iris = "0.9.0"\n'), workspace=workspace)


def test_shallow_clone(moved_on: tuple[Workspace, OwnWheel], tmp_path: Path) -> None:
    """A clone without the commit says so, and what to run; with it, all is well."""
    workspace, old = moved_on
    clone = Workspace(root=tmp_path / "clone")
    source = workspace.root.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth=1", source, str(clone.root)], check=True)
    with pytest.raises(WorkspaceInvalid) as caught:
        iris(clone)
    assert str(caught.value) == (
        "compositions/pair/composition.toml: `models.iris` is pinned to `1.0.0`, and `models/iris` "
        "is at `1.1.0`; "
        "neither `dist/wheels` nor an index (none is named) nor git history has it; this clone is "
        "shallow and may lack the commit: run `git fetch --unshallow`"
    )
    subprocess.run(["git", "fetch", "-q", "--unshallow"], cwd=clone.root, check=True)
    assert iris(clone).sha256 == old.sha256


def test_store_before_history(moved_on: tuple[Workspace, OwnWheel]) -> None:
    """A wheel in the store is used as it is; the lock still decides whether it is the right one."""
    workspace, old = moved_on
    asked = manifest()
    wheels = wheels_of(asked, workspace=workspace)
    locked = lock_manifest(asked, wheels)
    refuse_stale(asked, locked, wheels)
    place = workspace.root / WHEEL_STORE
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/data.txt", "forged")
    tiny.add_model(workspace.root, "iris", version="1.0.0")
    tiny.track(workspace.root)
    forged = iris(workspace)
    subprocess.run(["git", "reset", "-q", "--hard"], cwd=workspace.root, check=True)
    place.mkdir(parents=True)
    shutil.copyfile(forged.path, place / FILE)
    assert iris(workspace).sha256 == forged.sha256 != old.sha256
    with pytest.raises(LockStale, match=r"`stevedore-model-iris` 1\.0\.0 changed"):
        refuse_stale(asked, locked, wheels_of(asked, workspace=workspace))


@pytest.mark.parametrize(
    ("files", "entry_points", "said"),
    [
        ({"stevedore_model_iris.pth": "import os"}, "iris", "a `.pth` file runs code"),
        ({"other/__init__.py": ""}, "iris", "outside of `stevedore_model_iris/`"),
        ({"stevedore_model_iris/__init__.py": ""}, "digits", "expected exactly one entry, `iris`"),
    ],
)
def test_store_wheel_that_must_not_be_shipped(
    moved_on: tuple[Workspace, OwnWheel], files: dict[str, str], entry_points: str, said: str
) -> None:
    """A wheel that was not built here is held to the same rules as one that was."""
    workspace, _ = moved_on
    tiny.write_wheel(
        workspace.root / WHEEL_STORE,
        "stevedore_model_iris",
        "1.0.0",
        files=files,
        entry_points=f"[ml_py_stevedore.models]\n{entry_points} = stevedore_model_iris:load\n",
    )
    with pytest.raises(WorkspaceInvalid, match=said):
        iris(workspace)


def test_store_wheel_of_another_version(moved_on: tuple[Workspace, OwnWheel]) -> None:
    """A file that is not what it is called is refused; so is one that is no wheel."""
    workspace, _ = moved_on
    place = workspace.root / WHEEL_STORE
    other = tiny.write_wheel(
        place,
        "stevedore_model_iris",
        "2.0.0",
        entry_points="[ml_py_stevedore.models]\niris = stevedore_model_iris:load\n",
    )
    other.rename(place / FILE)
    with pytest.raises(WorkspaceInvalid) as caught:
        iris(workspace)
    assert str(caught.value) == (
        f"{place / FILE}: expected `stevedore-model-iris` 1.0.0, found `stevedore-model-iris` "
        "2.0.0; remove the file"
    )
    (place / FILE).write_text("no wheel")
    with pytest.raises(WorkspaceInvalid, match="cannot be read as a wheel"):
        iris(workspace)


def test_unknown_model(workspace: Workspace) -> None:
    """A name that nobody ever had is told with the one that may be meant."""
    tiny.commit(workspace.root)
    with pytest.raises(WorkspaceInvalid) as caught:
        wheels_of(manifest('iriss = "1.0.0"\n'), workspace=workspace)
    assert str(caught.value) == (
        "compositions/pair/composition.toml: `models.iriss` is pinned to `1.0.0`, and "
        "`models/iriss` is not there; did you mean `iris`?; neither `dist/wheels` nor an index "
        "(none is named) nor git history has it; change the pin in the manifest"
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real package index on the loopback address that wants a password, and its directory."""
    packages = tmp_path / "packages"
    packages.mkdir()
    secret = hashlib.sha1(b"secret", usedforsecurity=False).digest()
    passwords = tmp_path / "passwords"
    passwords.write_text(f"me:{{SHA}}{base64.b64encode(secret).decode()}\n")
    with socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    command = [sys.executable, "-m", "pypiserver", "run", "-p", str(port), "-i", "127.0.0.1"]
    command += ["--disable-fallback", "-a", "download,list", "-P", str(passwords), str(packages)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}", packages
    finally:
        process.terminate()
        process.wait()


def test_index(
    moved_on: tuple[Workspace, OwnWheel],
    server: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An index that is named has the wheel; the variable goes first and may hold a password."""
    workspace, _ = moved_on
    host, packages = server
    project = workspace.root / "models/iris/pyproject.toml"
    newer = project.read_text()
    project.write_text(newer.replace('version = "1.1.0"', 'version = "0.9.0"'))
    pinned = manifest('iris = "0.9.0"\n', f'[wheels]\nindex = "http://{host}/simple"\n')
    published = wheels_of(pinned, workspace=workspace).models["iris", "0.9.0"]
    project.write_text(newer)
    shutil.copy(published.path, packages)
    shutil.rmtree(workspace.store.root)
    with pytest.raises(IndexFailed) as caught:
        wheels_of(pinned, workspace=workspace)
    assert str(caught.value) == (
        f"http://{host}/simple/stevedore-model-iris/ answers 401 Unauthorized"
    )
    monkeypatch.setenv("STEVEDORE_INDEX_URL", f"http://me:secret@{host}/simple")
    found = wheels_of(pinned, workspace=workspace).models["iris", "0.9.0"]
    assert found.sha256 == published.sha256
    locked = lock_manifest(pinned, wheels_of(pinned, workspace=workspace))
    locked.write(workspace.root / "compositions/pair")
    text = (workspace.root / "compositions/pair/lock.toml").read_text()
    assert host not in text
    assert "secret" not in text
    (packages / published.path.name).unlink()
    assert wheels_of(pinned, workspace=workspace).models["iris", "0.9.0"] == found
    asked = manifest('iris = "0.8.0"\n')
    with pytest.raises(WorkspaceInvalid, match="nor the index nor git history has it"):
        wheels_of(asked, workspace=workspace)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://me:secret@127.0.0.1", "has to begin with `https://` and name a host"),
        (
            "http://me:secret@127.0.0.1:9",
            "http://127.0.0.1:9/stevedore-model-iris/ cannot be reach",
        ),
    ],
)
def test_index_that_is_not_there(
    moved_on: tuple[Workspace, OwnWheel],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    said: str,
) -> None:
    """What is wrong with the address is told, without the password."""
    workspace, _ = moved_on
    monkeypatch.setenv("STEVEDORE_INDEX_URL", address)
    with pytest.raises(IndexFailed, match=said) as caught:
        iris(workspace)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (f"{FILE}#sha256={'0' * 64}", "is not the file whose sha256 the index lists"),
        (f"gone/{FILE}", "is not there"),
        (f"file:///{FILE}", "only `http` and `https` are followed"),
    ],
)
def test_index_that_lies(tmp_path: Path, link: str, said: str) -> None:
    """A page whose links cannot be trusted is refused."""
    page = f'<a href="{link}">{FILE}</a><a>nothing</a>'.encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if "/gone/" in self.path else 200)
            self.end_headers()
            self.wfile.write(page)

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(IndexFailed, match=said):
            download(index, "stevedore-model-iris", "1.0.0", to=tmp_path)
        server.shutdown()


def test_two_versions(moved_on: tuple[Workspace, OwnWheel], index: Path) -> None:
    """One composition may take one version from here and another from history."""
    workspace, old = moved_on
    assert index.is_dir()
    asked = manifest('iris = ["1.1.0", "1.0.0"]\n')
    locked = lock_manifest(asked, wheels_of(asked, workspace=workspace))
    assert [(m.version, m.environment) for m in locked.models] == [
        ("1.1.0", "default"),
        ("1.0.0", "default-2"),
    ]
    assert locked.model("iris", "1.0.0").sha256 == old.sha256


def released(workspace: Workspace) -> OwnWheel:
    """Tag what the workspace has as the release of iris 1.0.0, and return its wheel."""
    wheel = iris(workspace)
    tiny.name_author(workspace.root)
    tiny.commit(workspace.root)
    write_tag(
        "models",
        "iris",
        "1.0.0",
        subject="Release iris 1.0.0",
        trailers={"Sha256": wheel.sha256},
        root=workspace.root,
    )
    return wheel


@pytest.mark.fault("G9")
@pytest.mark.usefixtures("index")
def test_released_version_that_changed(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    figure: Callable[[str], None],
) -> None:
    """The commands that lock and build refuse other content under a released version."""
    monkeypatch.chdir(workspace.root)
    old = released(workspace)
    assert main(["lock", "pair"]) == 0
    assert main(["check", "pair"]) == 0
    lock = (workspace.composition("pair") / "lock.toml").read_bytes()
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/data.txt", "new")
    tiny.track(workspace.root)
    new = iris(workspace)
    expected = (
        f"error: `iris` 1.0.0 was released as another wheel: expected sha256 `{old.sha256}`, as "
        f"the tag `models/iris-v1.0.0` records, found `{new.sha256}`; a released version never "
        "changes: bump the version with `make release-model NAME=iris PART=patch`, or `minor` or "
        "`major`"
    )
    commands = (["lock"], ["check"], ["layout"], ["image", "--engine=none"])
    for command in commands:
        capsys.readouterr()
        assert main([*command, "pair"]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == expected, command
    figure(f"a changed model refused by {len(commands)} of {len(commands)} commands")
    assert (workspace.composition("pair") / "lock.toml").read_bytes() == lock
    assert composition_now("pair", workspace=workspace).lock.model("iris").sha256 == new.sha256


@pytest.mark.control("G9")
@pytest.mark.usefixtures("index")
def test_version_that_changed_and_was_not_released(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the tag, the record of the release, the same change is locked without a word."""
    monkeypatch.chdir(workspace.root)
    old = released(workspace)
    assert main(["lock", "pair"]) == 0
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/data.txt", "new")
    tiny.track(workspace.root)
    assert main(["lock", "pair"]) == 1
    subprocess.run(["git", "tag", "-d", "models/iris-v1.0.0"], cwd=workspace.root, check=True)
    assert main(["lock", "pair"]) == 0
    assert Lock.read(workspace.composition("pair")).model("iris").sha256 != old.sha256


def test_released_version_in_the_store(workspace: Workspace) -> None:
    """A wheel from elsewhere has to be the released one too."""
    old = released(workspace)
    tiny.add_model(workspace.root, "iris", version="1.1.0")
    forged = tiny.write_wheel(
        workspace.root / WHEEL_STORE,
        "stevedore_model_iris",
        "1.0.0",
        entry_points="[ml_py_stevedore.models]\niris = stevedore_model_iris:load\n",
    )
    refuse = partial(refuse_other_than_released, workspace=workspace)
    with pytest.raises(ReleaseRefused) as caught:
        refuse(wheels_of(manifest(), workspace=workspace))
    found = hashlib.sha256(forged.read_bytes()).hexdigest()
    assert str(caught.value) == (
        f"`iris` 1.0.0 was released as another wheel: expected sha256 `{old.sha256}`, as the tag "
        f"`models/iris-v1.0.0` records, found `{found}`; remove the other wheel from `dist/wheels` "
        "or from the index"
    )
    forged.unlink()
    refuse(wheels_of(manifest(), workspace=workspace))


def test_history_of_a_released_version(workspace: Workspace) -> None:
    """Of a released version the commit that was tagged counts, whatever came after it."""
    old = released(workspace)
    for version, text in (("1.0.0", "changed after the release"), ("1.1.0", "newer")):
        tiny.add_model(workspace.root, "iris", version=version)
        tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/data.txt", text)
        tiny.commit(workspace.root)
    assert iris(workspace).sha256 == old.sha256

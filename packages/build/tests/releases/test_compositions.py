"""Releases of compositions in a tiny repository: what they write, and what they refuse."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.errors import CheckFailed, LockStale, ReleaseRefused, SigningFailed, ToolFailed
from stevedore_build.images.engines import PODMAN
from stevedore_build.layouts.serving import fresh
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.processes import git
from stevedore_build.releases.compositions import (
    CompositionRelease,
    push_release,
    release_composition,
)
from stevedore_build.signing import KEY_VARIABLE, check_signature
from stevedore_build.tags import find_tag, read_tags, write_tag
from stevedore_build.versions import Part
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

PYTHON = Path(sys.executable)
ON = date(2026, 1, 31)
MANIFEST = """\
# One model.

name = "pair"
version = "1.0.0"  # raised by releases
python = "3.11"

[models]
adder = "1.0.0"
"""
CORE = "packages/core/src/stevedore_core/more.py"
PIN = "compositions/pair/composition.toml"
TEST = "compositions/pair/tests/test_pair.py"


@pytest.fixture(scope="module")
def made(adder_repository: Workspace) -> Workspace:
    """A repository whose composition `pair` holds the released model `adder`, and is released."""
    root = adder_repository.root
    tiny.write(root / PIN, MANIFEST)
    tiny.write(root / ".gitignore", ".stevedore/\n__pycache__/\ndist/\n")
    tiny.name_author(root)
    tiny.track(root)
    lock(adder_repository)
    tiny.commit(root, "Begin")
    release_model(adder_repository)
    release(adder_repository)
    return adder_repository


@pytest.fixture
def repository(made: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of that repository for one test."""
    shutil.copytree(made.root, tmp_path / "repository", symlinks=True)
    monkeypatch.chdir(tmp_path / "repository")
    return Workspace(root=tmp_path / "repository")


def lock(workspace: Workspace) -> Lock:
    """Lock `pair` and write the lock."""
    directory = workspace.composition("pair")
    manifest = Manifest.parse(directory / "composition.toml")
    locked = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    locked.write(directory)
    return locked


def release_model(workspace: Workspace) -> None:
    """Tag the wheel of `adder` as released."""
    (model,) = lock(workspace).models
    write_tag(
        "models",
        "adder",
        model.version,
        subject="Release",
        trailers={"Sha256": model.sha256},
        root=workspace.root,
    )
    git("checkout", "--quiet", "--", "compositions", cwd=workspace.root)


def move_adder(workspace: Workspace) -> None:
    """Have `adder` at 1.1.0, where its step is larger and so worse; `pair` pins it."""
    directory = tiny.add_adder(workspace.root, version="1.1.0", step=2)
    changelog = "# Changelog\n\n## 1.1.0\n\nTwo by two.\n\n## 1.0.0\n\nFirst version.\n"
    tiny.write(directory / "CHANGELOG.md", changelog)
    change(workspace, PIN, 'adder = "1.0.0"', 'adder = "1.1.0"')
    tiny.commit(workspace.root, "Move adder")


def change(workspace: Workspace, path: str, old: str, new: str) -> None:
    """Replace a part of a file."""
    text = (workspace.root / path).read_text()
    assert old in text
    tiny.write(workspace.root / path, text.replace(old, new))


def release(workspace: Workspace, part: Part | None = None) -> CompositionRelease:
    """Release `pair`; no image is built."""
    return release_composition(
        "pair", workspace=workspace, engines=(), python=PYTHON, part=part, on=ON
    )


def everything(workspace: Workspace) -> tuple[Mapping[str, bytes], str, str, str]:
    """Return all files, what git says of them, the commit and the tags."""
    files = {
        str(file.relative_to(workspace.root)): file.read_bytes()
        for file in sorted(workspace.root.rglob("*"))
        if file.is_file() and not {".git", ".stevedore", "__pycache__"} & set(file.parts)
    }
    asked = (("status", "--porcelain"), ("rev-parse", "HEAD"), ("tag", "--list"))
    status, head, tags = (git(*arguments, cwd=workspace.root) for arguments in asked)
    return files, status, head, tags


def test_first_release(made: Workspace) -> None:
    """The changelog tells what is in it, the documents lie together, the tag records the lock."""
    locked = Lock.read(made.composition("pair"))
    tag = find_tag("compositions", "pair", "1.0.0", root=made.root)
    assert tag is not None
    assert tag.trailers == {"Lock": locked.digest}
    assert tag.commit == git("rev-parse", "HEAD", cwd=made.root).strip()
    core = tomllib.loads((made.root / "packages/core/pyproject.toml").read_text())
    needed = len(core["project"]["dependencies"])
    assert (made.composition("pair") / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## 1.0.0 - 2026-01-31\n\n"
        "### Models\n\n#### `adder` 1.0.0\n\n"
        "| score | 1.0.0 |\n|---|---|\n| step (lower is better) | 1 |\n\n"
        f"### Dependencies\n\n* `default`: {needed} distributions\n"
        f"* `front`: {needed} distributions\n\n"
        f"### Platform\n\n* `Python` 3.11\n* `ml-py-stevedore-core` {locked.wheels[0].version}\n"
        "* `ml-py-stevedore-api` 0.1.0\n"
    )
    documents = made.root / "dist" / "releases" / "pair-1.0.0"
    assert {str(f.relative_to(documents)) for f in documents.rglob("*") if f.is_file()} == {
        "composition.toml",
        "lock.toml",
        "lock/default.txt",
        "lock/front.txt",
        "sbom.cdx.json",
        "licences.txt",
        "provenance.json",
    }
    assert Lock.read(documents) == locked
    assert git("status", "--porcelain", cwd=made.root) == ""


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_release_is_signed(
    repository: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a key, every document of a release is signed; an unusable key ends it at once."""
    git("tag", "--delete", "compositions/pair-v1.0.0", cwd=repository.root)
    before = everything(repository)
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "absent.key"))
    with pytest.raises(SigningFailed):
        release(repository)
    assert everything(repository) == before
    secret, public = tmp_path / "secret.key", tmp_path / "public.key"
    command = ["minisign", "-G", "-W", "-s", str(secret), "-p", str(public)]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv(KEY_VARIABLE, str(secret))
    release(repository)
    place = repository.root / "dist" / "releases" / "pair-1.0.0"
    files = {file for file in place.rglob("*") if file.is_file() and file.suffix != ".minisig"}
    assert len(files) == 7
    for file in files:
        check_signature(file, public_key=public)


def test_release_raises_the_version(repository: Workspace) -> None:
    """Comments stay, the lock follows, and what people wrote stands above what moved."""
    changelog = repository.composition("pair") / "CHANGELOG.md"
    tiny.write(
        changelog, "# Changelog\n\n## Unreleased\n\nFor the twos.\n" + changelog.read_text()[11:]
    )
    move_adder(repository)
    release_model(repository)
    found = release(repository, "minor")
    assert found == CompositionRelease(tag="compositions/pair-v1.1.0", is_new=True, images=())
    assert (repository.root / PIN).read_text() == MANIFEST.replace(
        'version = "1.0.0"  #', 'version = "1.1.0"  #'
    ).replace('adder = "1.0.0"', 'adder = "1.1.0"')
    assert fresh("pair", workspace=repository)[1].version == "1.1.0"
    assert changelog.read_text().startswith(
        "# Changelog\n\n## 1.1.0 - 2026-01-31\n\nFor the twos.\n\n"
        "### Models\n\n#### `adder` 1.0.0 → 1.1.0\n\n"
        "| score | 1.0.0 | 1.1.0 | |\n|---|---|---|---|\n"
        "| step (lower is better) | 1 | 2 | worse |\n\n"
        "> **1.1.0**\n>\n> Two by two.\n\n"
        "## 1.0.0 - 2026-01-31\n\n### Models\n"
    )
    assert git("log", "-1", "--format=%s", cwd=repository.root) == "Release pair 1.1.0\n"
    assert [tag.version for tag in read_tags("compositions", root=repository.root)] == [
        "1.0.0",
        "1.1.0",
    ]


def test_same_again(repository: Workspace) -> None:
    """A released version with the same content is left alone."""
    before = everything(repository)
    assert release(repository) == CompositionRelease(
        tag="compositions/pair-v1.0.0", is_new=False, images=()
    )
    assert everything(repository) == before


def test_tag_was_lost(repository: Workspace) -> None:
    """Released once more, the changelog is not told twice, and nothing is committed."""
    git("tag", "--delete", "compositions/pair-v1.0.0", cwd=repository.root)
    before = everything(repository)
    assert release(repository).is_new
    after = everything(repository)
    assert after[:3] == before[:3]
    assert after[3] == "compositions/pair-v1.0.0\n" + before[3]


@pytest.mark.fault("G9")
def test_released_version_stays(repository: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Other content under a released version is locked and released nowhere; a new one is free."""
    released = Lock.read(repository.composition("pair")).digest
    tiny.write(repository.root / CORE, "# changed\n")
    tiny.commit(repository.root)
    before = everything(repository)
    assert main(["check", "pair"]) == 1
    with pytest.raises(LockStale):
        release(repository)
    capsys.readouterr()
    assert main(["lock", "pair"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert everything(repository) == before
    now = lock(repository).digest
    message = (
        "`pair` 1.0.0 was released with another lock, and a released version stays as it is: "
        f"`compositions/pair-v1.0.0` has `{released}`, this is `{now}`; run `make release "
        "NAME=pair PART=patch|minor|major`, or raise `version` in "
        "`compositions/pair/composition.toml`"
    )
    assert said == f"error: {message}"
    with pytest.raises(ReleaseRefused) as refused:
        release(repository)
    assert str(refused.value) == message
    git("checkout", "--quiet", "--", "compositions", cwd=repository.root)
    change(repository, PIN, 'version = "1.0.0"', 'version = "1.0.1"')
    assert main(["lock", "pair"]) == 0
    assert main(["check", "pair"]) == 0


@pytest.mark.control("G9")
def test_overwritten_release_is_seen(repository: Workspace) -> None:
    """Where no tag protects a version it is locked anew, and looking at the files shows it."""
    git("tag", "--delete", "compositions/pair-v1.0.0", cwd=repository.root)
    tiny.write(repository.root / CORE, "# changed\n")
    tiny.commit(repository.root)
    before = everything(repository)
    assert main(["lock", "pair"]) == 0
    assert everything(repository) != before


def test_compared(repository: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Two releases, a release and the workspace, and JSON of the same, without anything kept."""
    move_adder(repository)
    release_model(repository)
    release(repository, "minor")
    tiny.write(repository.root / CORE, "# changed\n")
    tiny.commit(repository.root)
    shutil.rmtree(repository.store.wheels)
    shutil.rmtree(repository.store.answers)
    capsys.readouterr()
    assert main(["diff", "pair", "1.0.0", "1.1.0"]) == 0
    moved = (
        "### Models\n\n#### `adder` 1.0.0 → 1.1.0\n\n"
        "| score | 1.0.0 | 1.1.0 | |\n|---|---|---|---|\n"
        "| step (lower is better) | 1 | 2 | worse |\n\n"
        "> **1.1.0**\n>\n> Two by two.\n"
    )
    assert capsys.readouterr().out == moved
    assert main(["diff", "pair", "1.1.0", "1.0.0"]) == 0
    assert capsys.readouterr().out == (
        "### Models\n\n#### `adder` 1.1.0 → 1.0.0\n\n"
        "| score | 1.1.0 | 1.0.0 | |\n|---|---|---|---|\n"
        "| step (lower is better) | 2 | 1 | better |\n\n"
        "Taken back:\n\n> **1.1.0**\n>\n> Two by two.\n"
    )
    assert main(["diff", "pair", "1.0.0"]) == 1
    assert "run `make lock NAME=pair`" in capsys.readouterr().err
    change(repository, PIN, 'version = "1.1.0"', 'version = "1.2.0"')
    lock(repository)
    assert main(["diff", "pair", "1.0.0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["from"], told["to"]) == ("1.0.0", "1.2.0")
    assert [move["name"] for move in told["models"]] == ["adder"]
    assert [move["name"] for move in told["platform"]] == ["ml-py-stevedore-core"]


def test_compared_with_none(repository: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A version that is not released, and what is."""
    assert main(["diff", "pair", "1.0.0", "2.0.0"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: composition `pair` 2.0.0 is not released: there is no tag "
        "`compositions/pair-v2.0.0`; released versions: `1.0.0`"
    )
    git("tag", "--delete", "compositions/pair-v1.0.0", cwd=repository.root)
    assert main(["diff", "pair", "1.0.0"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: composition `pair` 1.0.0 is not released: there is no tag "
        "`compositions/pair-v1.0.0`; released versions: none"
    )


def test_release_needs_an_engine(repository: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A release has an image, so it begins with an engine; a registry is looked at first too."""
    before = everything(repository)
    arguments = ["release", "pair", "--python", sys.executable, "--part", "patch"]
    assert main([*arguments, "--engine", "none"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: `ENGINE=none` has no base and runs nothing: name an engine"
    )
    assert main([*arguments, "--registry", "https://registry.example"]) == 1
    assert "`REGISTRY`: expected a host" in capsys.readouterr().err.splitlines()[-1]
    assert everything(repository) == before


def test_only_releases_are_pushed(repository: Workspace) -> None:
    """A version that may still change is pushed nowhere."""
    git("tag", "--delete", "compositions/pair-v1.0.0", cwd=repository.root)
    with pytest.raises(ReleaseRefused) as refused:
        push_release("pair", workspace=repository, engine=PODMAN, registry="127.0.0.1:1")
    assert str(refused.value) == (
        "`pair` 1.0.0 is not released, and a registry gets nothing else; run "
        "`make release NAME=pair`"
    )


def test_version_was_used(repository: Workspace) -> None:
    """A part that leads to a released version is refused before anything is done."""
    for path in (PIN, "compositions/pair/lock.toml"):
        change(repository, path, 'version = "1.0.0"', 'version = "0.9.0"')
    tiny.commit(repository.root)
    with pytest.raises(ReleaseRefused) as refused:
        release(repository, "major")
    assert str(refused.value) == "`pair` 1.0.0 is released already; raise another part"


def test_uncommitted(repository: Workspace) -> None:
    """Whatever a release reads has to be committed; what it does not read may be in work."""
    tiny.write(repository.root / "models/iris/notes.txt", "no part of it\n")
    tiny.write(repository.root / "models/adder/notes.txt", "new\n")
    tiny.write(repository.root / "conftest.py", "")
    change(repository, PIN, "# One", "# Only one")
    with pytest.raises(ReleaseRefused) as refused:
        release(repository, "patch")
    assert str(refused.value) == (
        "a release is made of what is committed, and these files differ: "
        "`compositions/pair/composition.toml`, `conftest.py`, `models/adder/notes.txt`; commit "
        "them or put them aside"
    )


def test_model_not_released(repository: Workspace) -> None:
    """A model that may still change under its version cannot be in a release."""
    move_adder(repository)
    before = everything(repository)
    with pytest.raises(ReleaseRefused) as refused:
        release(repository, "minor")
    assert str(refused.value) == (
        "`pair` cannot be released: `adder` 1.1.0 is not released: run "
        "`make release-model NAME=adder`"
    )
    assert everything(repository) == before


def test_superseded_model(repository: Workspace) -> None:
    """A version that the workspace is past needs no tag: nothing can change it any more."""
    git("tag", "--delete", "models/adder-v1.0.0", cwd=repository.root)
    tiny.add_adder(repository.root, version="1.1.0", step=2)
    tiny.commit(repository.root)
    assert release(repository, "patch").is_new


def failing_test(repository: Workspace) -> None:
    """The composition's own test fails."""
    tiny.write(repository.root / TEST, "def test_pair():\n    assert False\n")
    tiny.commit(repository.root)


def failing_model(repository: Workspace) -> None:
    """A test of its model fails."""
    tiny.write(
        repository.root / "models/adder/tests/test_adder.py", "def test():\n    assert False\n"
    )
    tiny.commit(repository.root)


def failing_score(repository: Workspace) -> None:
    """All tests pass, and then the model cannot be scored."""
    code = "models/adder/src/stevedore_model_adder/__init__.py"
    change(repository, code, '{"step"', '{"step": "no"} or {"step"')
    version = "models/adder/pyproject.toml"
    change(repository, version, 'version = "1.0.0"', 'version = "1.0.1"')
    change(repository, PIN, 'adder = "1.0.0"', 'adder = "1.0.1"')
    tiny.commit(repository.root)
    release_model(repository)


def failing_commit(repository: Workspace) -> None:
    """Everything is written, and a hook refuses the commit."""
    hook = repository.root / ".git/hooks/pre-commit"
    tiny.write(hook, "#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)


def failing_tag(repository: Workspace) -> None:
    """The commit is made, and a tag of this name leaves no room for those below it."""
    for tag in git("tag", "--list", "compositions/*", cwd=repository.root).split():
        git("tag", "--delete", tag, cwd=repository.root)
    git("tag", "compositions", cwd=repository.root)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (failing_test, CheckFailed),
        (failing_model, CheckFailed),
        (failing_score, CheckFailed),
        (failing_commit, ToolFailed),
        (failing_tag, ToolFailed),
    ],
)
def test_failure_leaves_nothing(
    repository: Workspace, broken: Callable[[Workspace], None], error: type[Exception]
) -> None:
    """Whatever fails, and be it the very last step: files, history and tags are as they were."""
    broken(repository)
    before = everything(repository)
    with pytest.raises(error):
        release(repository, "patch")
    assert everything(repository) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_leaves_nothing(repository: Workspace, number: signal.Signals) -> None:
    """Ctrl-C or a stop in the middle of the tests, when the version is raised and locked."""
    tiny.write(
        repository.root / TEST,
        "import pathlib, time\n\ndef test_pair():\n"
        "    pathlib.Path('.stevedore/reached').touch()\n    time.sleep(60)\n",
    )
    tiny.commit(repository.root)
    before = everything(repository)
    program = (
        "import datetime, pathlib, signal, sys\n"
        "from stevedore_build.releases.compositions import release_composition\n"
        "from stevedore_build.workspace import Workspace\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "release_composition('pair', workspace=Workspace(root=pathlib.Path.cwd()), engines=(),\n"
        "    python=pathlib.Path(sys.executable), on=datetime.date.today(), part='patch')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=repository.root,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        give_up = time.monotonic() + 180
        while not (repository.root / ".stevedore/reached").exists():
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.05)
        assert '"1.0.1"' in (repository.root / PIN).read_text()
        os.killpg(process.pid, number)
        assert process.wait(timeout=30) != 0
    assert everything(repository) == before

"""What a change affects."""

import json
import subprocess
from pathlib import Path

import pytest
import tiny

from stevedore_build.checks.affected import Affected, affected_since
from stevedore_build.cli.program import main
from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.manifest import Manifest

NOTHING = Affected(models=(), compositions=())
ALL = Affected(models=("digits", "iris"), compositions=("one", "pair"))

ONE = """\
name = "one"
version = "1.0.0"
python = "3.11"

[models]
iris = "1.0.0"
"""


def commit(workspace: Workspace) -> None:
    """Commit everything."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    tiny.track(workspace.root)
    subprocess.run(
        ["git", *identity, "commit", "--quiet", "--message", "x"], cwd=workspace.root, check=True
    )


def lock(workspace: Workspace, name: str) -> None:
    """Lock a composition as the workspace is now."""
    directory = workspace.composition(name)
    manifest = Manifest.parse(directory / "composition.toml")
    wheels = wheels_of(manifest, workspace=workspace)
    lock_manifest(manifest, wheels, previous=None).write(directory)


@pytest.fixture
def committed(workspace: Workspace) -> Workspace:
    """A committed repository: `pair` ships iris and digits, `one` ships iris; both are locked."""
    tiny.write(workspace.root / "compositions/one/composition.toml", ONE)
    tiny.track(workspace.root)
    lock(workspace, "pair")
    lock(workspace, "one")
    commit(workspace)
    return workspace


def affected_by(workspace: Workspace, *files: str) -> Affected:
    """Return what is affected once some files have other content."""
    for file in files:
        path = workspace.root / file
        tiny.write(path, (path.read_text() if path.exists() else "") + "\n# changed\n")
    return affected_since("HEAD", workspace=workspace)


def test_nothing_changed(committed: Workspace) -> None:
    """Without a change nothing is affected."""
    assert affected_since("HEAD", workspace=committed) == NOTHING


@pytest.mark.parametrize(
    "file", ["README.md", "docs/http.md", "packages/core/tests/test_a.py", "packages/api/README.md"]
)
def test_what_nobody_runs_on(committed: Workspace, file: str) -> None:
    """Documents and the packages' own tests affect no model and no composition."""
    assert affected_by(committed, file) == NOTHING


@pytest.mark.parametrize(
    "file",
    [
        "packages/core/src/stevedore_core/__init__.py",
        "packages/core/pyproject.toml",
        "packages/build/src/stevedore_build/layouts/layers.py",
        "requirements/test.txt",
        "conftest.py",
        "pyproject.toml",
    ],
)
def test_what_everybody_runs_on(committed: Workspace, file: str) -> None:
    """A change in core, in how layouts are made or in the test tools affects all."""
    assert affected_by(committed, file) == ALL


@pytest.mark.parametrize(
    "file",
    [
        "packages/api/src/stevedore_api/app.py",
        "tests/composition/test_a.py",
        "tests/image/test_a.py",
    ],
)
def test_what_serves(committed: Workspace, file: str) -> None:
    """A change in api affects every composition and no model alone."""
    assert affected_by(committed, file) == Affected(models=(), compositions=("one", "pair"))


def test_a_model(committed: Workspace) -> None:
    """A changed model affects the compositions that ship it, and no other."""
    changed = "models/digits/src/stevedore_model_digits/__init__.py"
    assert affected_by(committed, changed) == Affected(models=("digits",), compositions=("pair",))


def test_a_model_that_moved_on(committed: Workspace) -> None:
    """A composition that pins an older version ships the older one: the newer does not touch it."""
    tiny.add_model(committed.root, "iris", version="1.1.0")
    assert affected_since("HEAD", workspace=committed) == Affected(
        models=("iris",), compositions=()
    )


def test_a_model_whose_code_says_its_version(committed: Workspace) -> None:
    """A version that stands in the code counts like one in the pyproject."""
    project = committed.root / "models/digits/pyproject.toml"
    project.write_text(
        project.read_text().replace('version = "1.0.0"', 'dynamic = ["version"]')
        + '\n[tool.hatch.version]\npath = "src/stevedore_model_digits/__init__.py"\n'
    )
    code = committed.root / "models/digits/src/stevedore_model_digits/__init__.py"
    code.write_text('__version__ = "1.0.0"\n')
    shipped = Affected(models=("digits",), compositions=("pair",))
    assert affected_since("HEAD", workspace=committed) == shipped
    code.write_text('__version__ = "1.1.0"\n')
    moved_on = Affected(models=("digits",), compositions=())
    assert affected_since("HEAD", workspace=committed) == moved_on
    code.write_text("")
    assert affected_since("HEAD", workspace=committed) == shipped


def test_a_new_file_that_git_does_not_track(committed: Workspace) -> None:
    """What is not committed yet counts, tracked or not."""
    changed = affected_by(committed, "models/iris/src/stevedore_model_iris/new.py")
    assert changed == Affected(models=("iris",), compositions=("one", "pair"))


def test_a_model_that_moved_away(committed: Workspace) -> None:
    """A file that leaves a model changes that model, wherever it goes."""
    old = committed.root / "models/digits/tests/test_digits.py"
    old.rename(committed.root / "models/iris/tests/test_digits.py")
    assert affected_since("HEAD", workspace=committed) == Affected(
        models=("digits", "iris"), compositions=("one", "pair")
    )


def test_a_manifest(committed: Workspace) -> None:
    """A composition's own files affect it alone."""
    changed = affected_by(committed, "compositions/one/composition.toml")
    assert changed == Affected(models=(), compositions=("one",))


def test_a_lock_that_moved(committed: Workspace, index: Path) -> None:
    """A lock with another pin for one model affects that model, whatever its files are."""
    tiny.write_wheel(index, "lib")
    tiny.add_model(committed.root, "digits", requires=["lib"])
    commit(committed)
    lock(committed, "pair")
    changed = affected_since("HEAD", workspace=committed)
    assert changed == Affected(models=("digits",), compositions=("pair",))


def test_a_composition_that_is_new(committed: Workspace) -> None:
    """All models of a composition that was not there are tested with its pins."""
    tiny.write(committed.root / "compositions/new/composition.toml", ONE.replace("one", "new"))
    tiny.track(committed.root)
    lock(committed, "new")
    changed = affected_since("HEAD", workspace=committed)
    assert changed == Affected(models=("iris",), compositions=("new",))


def test_a_lock_that_cannot_be_read(committed: Workspace) -> None:
    """A composition whose lock is broken is affected with everything it may ship."""
    (committed.root / "compositions/one/lock.toml").write_text("format = 999\n")
    changed = affected_since("HEAD", workspace=committed)
    assert changed == Affected(models=("digits", "iris"), compositions=("one",))


def test_no_such_commit(committed: Workspace) -> None:
    """A name that git does not know is refused with what to do."""
    with pytest.raises(WorkspaceInvalid) as refused:
        affected_since("gone", workspace=committed)
    assert str(refused.value) == (
        "`gone` names no commit that is here; name one that `git log` shows, "
        "and in a shallow clone fetch it first: `git fetch --unshallow`"
    )


def test_the_command(
    committed: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints a line for each kind, or one line of JSON for a CI's matrix."""
    monkeypatch.chdir(committed.root)
    affected_by(committed, "models/digits/README.md")
    assert main(["affected", "--since", "HEAD"]) == 0
    assert capsys.readouterr().out == "models: digits\ncompositions: pair\n"
    assert main(["affected", "--since", "HEAD", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"models": ["digits"], "compositions": ["pair"]}

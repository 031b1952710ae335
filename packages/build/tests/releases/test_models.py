"""Releasing a model in a real git repository, and all that stands in the way of it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.errors import (
    BuildError,
    CheckFailed,
    ReleaseRefused,
    ToolFailed,
    WorkspaceInvalid,
)
from stevedore_build.releases.models import ModelRelease, release_model
from stevedore_build.tags import find_tag, read_tags
from stevedore_build.versions import Part
from stevedore_build.workspace import Workspace

PYTHON = Path(sys.executable)
DAY = date(2026, 2, 3)
MODEL = Path("models", "adder")
PACKAGE = MODEL / "src" / "stevedore_model_adder"
WHEELS = Path("dist", "wheels")


@pytest.fixture(scope="module")
def repository(adder_repository: Workspace) -> tuple[Workspace, str]:
    """A repository with our core, in which `adder` 1.0.0 is released, and its commit."""
    root = adder_repository.root
    tiny.name_author(root)
    tiny.write(root / ".gitignore", ".stevedore/\n__pycache__/\ndist/\n")
    commit = tiny.commit(root)
    release(adder_repository)
    shutil.copytree(root / "dist", root.parent / "dist")
    return adder_repository, commit


@pytest.fixture
def adder(repository: tuple[Workspace, str]) -> Workspace:
    """The repository as it was just after the release of 1.0.0."""
    workspace, commit = repository
    for tag in read_tags("models", root=workspace.root):
        if tag.version != "1.0.0":
            git(workspace, "tag", "--delete", tag.tag)
    git(workspace, "reset", "--quiet", "--hard", commit)
    git(workspace, "clean", "--quiet", "-fd")
    shutil.rmtree(workspace.root / ".git" / "hooks", ignore_errors=True)
    shutil.rmtree(workspace.root / "dist", ignore_errors=True)
    shutil.copytree(workspace.root.parent / "dist", workspace.root / "dist")
    return workspace


def git(workspace: Workspace, *arguments: str) -> str:
    """Run git and return what it printed."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=workspace.root, check=True, capture_output=True, text=True)
    return done.stdout


def release(workspace: Workspace, part: Part | None = None) -> ModelRelease:
    """Release `adder`."""
    return release_model("adder", workspace=workspace, python=PYTHON, today=DAY, part=part)


def change(workspace: Workspace, file: Path, old: str, new: str) -> None:
    """Replace a part of a file."""
    text = (workspace.root / file).read_text()
    assert old in text
    tiny.write(workspace.root / file, text.replace(old, new))


def announce(workspace: Workspace, text: str = "Surer.") -> None:
    """Say in the changelog what changed, and commit everything."""
    change(workspace, MODEL / "CHANGELOG.md", "## 1.0.0", f"## Unreleased\n\n{text}\n\n## 1.0.0")
    tiny.commit(workspace.root)


def state(workspace: Workspace) -> dict[str, object]:
    """Return all that a release may change: files, commits, the index, tags."""
    files = [p for place in ("models", "dist") for p in (workspace.root / place).rglob("*")]
    left_over = {"__pycache__", ".pytest_cache"}
    return {
        "git": [git(workspace, *c.split()) for c in ("log", "status --porcelain", "for-each-ref")],
        "files": {
            str(p): p.read_bytes() for p in files if p.is_file() and left_over.isdisjoint(p.parts)
        },
    }


def sha256(file: Path) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_first(adder: Workspace) -> None:
    """The version as declared: a tag at the commit, and the wheel; no commit is made."""
    tag = find_tag("models", "adder", "1.0.0", root=adder.root)
    assert tag is not None
    assert tag.commit == git(adder, "rev-parse", "HEAD").strip()
    stored = adder.root / WHEELS / "stevedore_model_adder-1.0.0-py3-none-any.whl"
    assert tag.trailers == {"Sha256": sha256(stored)}
    assert git(adder, "tag", "--list", "--format=%(contents:subject)") == "Release adder 1.0.0\n"


@pytest.mark.fault("G9")
def test_again(adder: Workspace) -> None:
    """The same content once more changes nothing, but for a wheel that was lost."""
    before = state(adder)
    assert not release(adder).is_new
    assert state(adder) == before
    shutil.rmtree(adder.root / "dist")
    release(adder)
    assert state(adder) == before


def test_part(adder: Workspace) -> None:
    """A part goes up in the package and in the changelog; only these two files are committed."""
    announce(adder)
    tiny.write(adder.root / "other", "staged by somebody")
    tiny.track(adder.root)
    released = release(adder, "patch")
    assert released.is_new
    assert released.tag == find_tag("models", "adder", "1.0.1", root=adder.root)
    assert released.tag.trailer("Sha256") == sha256(released.wheel)
    shown = git(adder, "show", "--format=%s", "--unified=0", "HEAD").splitlines()
    assert [line for line in shown if not line.startswith(("@@", "index", "diff"))] == [
        "Release adder 1.0.1",
        "",
        "--- a/models/adder/CHANGELOG.md",
        "+++ b/models/adder/CHANGELOG.md",
        "-## Unreleased",
        "+## 1.0.1 - 2026-02-03",
        "--- a/models/adder/pyproject.toml",
        "+++ b/models/adder/pyproject.toml",
        '-version = "1.0.0"',
        '+version = "1.0.1"',
    ]
    assert git(adder, "status", "--porcelain") == "A  other\n"
    assert not release(adder).is_new


def test_version_in_the_code(adder: Workspace) -> None:
    """A version that hatchling reads from the code goes up there."""
    project, code = MODEL / "pyproject.toml", PACKAGE / "__init__.py"
    change(adder, project, 'version = "1.0.0"', 'dynamic = ["version"]')
    path = code.relative_to(MODEL)
    change(adder, project, "[tool.hatch", f'[tool.hatch.version]\npath = "{path}"\n\n[tool.hatch')
    change(adder, code, "class", '__version__ = "1.0.0"\n\nclass')
    announce(adder)
    assert release(adder, "minor").tag.version == "1.1.0"
    assert '__version__ = "1.1.0"' in (adder.root / code).read_text()


def test_version_that_is_not_where_it_seems(adder: Workspace) -> None:
    """A line that looks like the version and is another one is not taken for it."""
    project = MODEL / "pyproject.toml"
    change(adder, project, "[build-system]", '[tool.other]\nversion = "3"\n\n[build-system]')
    announce(adder)
    before = state(adder)
    with pytest.raises(WorkspaceInvalid) as caught:
        release(adder, "patch")
    assert str(caught.value) == (
        f"{adder.root / project}: the first line that looks like a version is another one; put "
        "the version of the package above it"
    )
    assert state(adder) == before


def refused(workspace: Workspace, part: Part | None = None) -> str:
    """Return why a release is refused; nothing has changed after that."""
    before = state(workspace)
    with pytest.raises(ReleaseRefused) as caught:
        release(workspace, part)
    assert state(workspace) == before
    return str(caught.value)


@pytest.mark.fault("G9")
def test_other_content(adder: Workspace) -> None:
    """A released version is not released again with other content."""
    change(adder, PACKAGE / "__init__.py", "x + 1", "1 + x")
    announce(adder)
    assert refused(adder) == (
        "`adder` 1.0.0 was released already, as the tag `models/adder-v1.0.0` records, and "
        "`models/adder` holds something else; a released version never changes: bump it with "
        "`make release-model NAME=adder PART=patch`, or `minor` or `major`"
    )


def test_not_committed(adder: Workspace) -> None:
    """What is not committed is not released, new files included."""
    announce(adder)
    change(adder, MODEL / "CHANGELOG.md", "Surer.", "Surest.")
    tiny.write(adder.root / MODEL / "more.py", "")
    tiny.write(adder.root / "conftest.py", "")
    assert refused(adder, "patch") == (
        "a release is made of what is committed, and these files differ: "
        "`models/adder/CHANGELOG.md`, `conftest.py`, `models/adder/more.py`; commit them or put "
        "them aside"
    )


@pytest.mark.parametrize(("text", "found"), [(None, "none"), ("", "an empty one")])
def test_nothing_to_say(adder: Workspace, text: str | None, found: str) -> None:
    """A release without words for its callers is refused."""
    if text is not None:
        announce(adder, text)
    assert refused(adder, "patch") == (
        f"{adder.root / MODEL / 'CHANGELOG.md'}: expected an entry `## Unreleased` that tells "
        f"callers what changed, found {found}; write it and commit it"
    )


def test_declared_without_an_entry(adder: Workspace) -> None:
    """A version that was set by hand needs its entry too."""
    change(adder, MODEL / "pyproject.toml", "1.0.0", "1.1.0")
    tiny.commit(adder.root)
    assert refused(adder) == (
        f"{adder.root / MODEL / 'CHANGELOG.md'}: expected an entry `## 1.1.0` that tells callers "
        "what changed, found none; write it and commit it"
    )


def test_other_wheel_in_the_store(adder: Workspace) -> None:
    """A version that the wheel store has with other content was used before."""
    announce(adder)
    stored = adder.root / WHEELS / "stevedore_model_adder-1.0.1-py3-none-any.whl"
    stored.write_text("another")
    found = sha256(stored)
    said = refused(adder, "patch")
    start = f"{stored}: this version is in the wheel store with other content: expected sha256 `"
    end = f"`, found `{found}`; if it was never released, remove the file"
    assert said.startswith(start)
    assert said.endswith(end)
    assert len(said) == len(start) + 64 + len(end)


def test_predictions_that_changed(adder: Workspace) -> None:
    """Another prediction on the packaged example asks for a minor release, which then passes."""
    change(adder, PACKAGE / "__init__.py", "x + 1", "x + 2")
    announce(adder)
    assert refused(adder, "patch") == (
        "`adder` 1.0.1 would be a patch release after 1.0.0, and what changed asks for a minor "
        "one:\n* predictions on the predict example of 1.0.0: `[2, 3.5]` became `[3, 4.5]`\n"
        "Release it as 1.1.0, or take back what changed."
    )
    assert release(adder, "minor").tag.version == "1.1.0"


def test_callers_that_break(adder: Workspace) -> None:
    """Tightened schemas ask for a major release; each change is told, and old examples."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array"}
    schema = {**draft, "maxItems": 1, "items": {"type": "integer", "minimum": 0}}
    tiny.write(adder.root / PACKAGE / "predict.schema.json", json.dumps(schema))
    tiny.write(adder.root / PACKAGE / "examples" / "predict.json", "[1]")
    schema = {**draft, "items": {"type": "number", "minimum": -1}}
    tiny.write(adder.root / PACKAGE / "score.schema.json", json.dumps(schema))
    announce(adder)
    assert refused(adder, "minor") == (
        "`adder` 1.1.0 would be a minor release after 1.0.0, and what changed asks for a major "
        "one:\n"
        '* predict schema, `/items/type`: `"number"` became `"integer"` (major)\n'
        "* predict schema, `/maxItems`: `nothing` became `1` (major)\n"
        "* the predict example of 1.0.0 does not fit the predict schema: `/`: the value has more "
        'than 1 item; `/1`: the value is not of type "integer"\n'
        "Release it as 2.0.0, or take back what changed."
    )
    assert "predict schema" in refused(adder, "patch")
    assert release(adder, "major").tag.version == "2.0.0"


def test_example_that_is_refused(adder: Workspace) -> None:
    """A model that fails on the packaged payload of the release before breaks its callers."""
    change(adder, PACKAGE / "__init__.py", "return [x", "1 / (len(X) - 2); return [x")
    tiny.write(adder.root / PACKAGE / "examples" / "predict.json", "[1]")
    announce(adder)
    assert refused(adder, "minor") == (
        "`adder` 1.1.0 would be a minor release after 1.0.0, and what changed asks for a major "
        "one:\n* the predict example of 1.0.0 is refused: model `adder` failed on this payload\n"
        "Release it as 2.0.0, or take back what changed."
    )


def test_against_the_release_below(adder: Workspace) -> None:
    """A version is held against the highest release below it, not against the newest."""
    change(adder, PACKAGE / "__init__.py", "x + 1", "x + 2")
    announce(adder)
    first = git(adder, "rev-parse", "HEAD~1").strip()
    release(adder, "major")
    git(adder, "reset", "--quiet", "--hard", first)
    announce(adder, "As before.")
    assert refused(adder, "major") == (
        "`adder` 2.0.0 was released already, as the tag `models/adder-v2.0.0` records, and "
        "`models/adder` holds something else; a released version never changes: bump it with "
        "`make release-model NAME=adder PART=patch`, or `minor` or `major`"
    )
    assert release(adder, "patch").tag.version == "1.0.1"


def test_released_wheel_that_is_lost(adder: Workspace) -> None:
    """What the release before was is built from the commit that its tag names."""
    change(adder, PACKAGE / "__init__.py", "x + 1", "x + 2")
    announce(adder)
    shutil.rmtree(adder.root / "dist")
    shutil.rmtree(adder.store.answers)
    assert "[2, 3.5]" in refused(adder, "patch")


def test_tests_that_fail(adder: Workspace) -> None:
    """A model whose tests fail is not released."""
    tiny.write(adder.root / MODEL / "tests" / "test_adder.py", "def test_no():\n    assert False\n")
    announce(adder)
    before = state(adder)
    with pytest.raises(CheckFailed) as caught:
        release(adder, "patch")
    assert str(caught.value) == "models/adder/tests: tests failed, see above"
    assert state(adder) == before


def test_tag_that_fails(adder: Workspace) -> None:
    """What fails after the commit undoes the commit; what others staged stays staged."""
    announce(adder)
    tiny.write(adder.root / "other", "staged by somebody")
    tiny.track(adder.root)
    git(adder, "config", "tag.gpgSign", "true")
    git(adder, "config", "gpg.program", "false")
    before = state(adder)
    try:
        with pytest.raises(ToolFailed, match="gpg failed to sign"):
            release(adder, "patch")
        assert state(adder) == before
    finally:
        git(adder, "config", "--unset", "tag.gpgSign")
    assert release(adder, "patch").is_new


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["while testing", "while committing"])
def test_interrupt(adder: Workspace, signum: signal.Signals, when: str) -> None:
    """A release that is interrupted leaves everything as it was, and can be done after that."""
    if when == "while testing":
        stop = f"import os, time\nos.kill(os.getppid(), {int(signum)})\ntime.sleep(60)\n"
        once = f"import pathlib\nhere = pathlib.Path({str(adder.root.parent)!r}, 'once')\n"
        body = f"{once}if here.exists():\n    here.unlink()\n    {stop.replace(chr(10), '; ')}\n"
        test = f"def test_stop():\n{''.join(f'    {line}{chr(10)}' for line in body.splitlines())}"
        tiny.write(adder.root / MODEL / "tests" / "test_adder.py", test)
        (adder.root.parent / "once").touch()
    announce(adder)
    if when == "while committing":
        hook = adder.root / ".git" / "hooks" / "post-commit"
        tiny.write(hook, f'#!/bin/sh\nkill -{int(signum)} "$(ps -o ppid= $PPID)"\n')
        hook.chmod(0o755)
    before = state(adder)
    command = [sys.executable, "-m", "stevedore_build", "release-model", "adder"]
    command += ["--part", "patch", "--python", sys.executable]
    done = subprocess.run(
        command, cwd=adder.root, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 128 + signum, done.stderr
    assert state(adder) == before
    if when == "while committing":
        hook.unlink()
    assert release(adder, "patch").is_new


def test_command(
    adder: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints tag and wheel, and says how to publish them, or that it is done."""
    monkeypatch.chdir(adder.root)
    announce(adder)
    command = ["release-model", "adder", "--python", sys.executable]
    assert main([*command, "--part", "patch"]) == 0
    said = capsys.readouterr()
    printed = "models/adder-v1.0.1 dist/wheels/stevedore_model_adder-1.0.1-py3-none-any.whl\n"
    assert said.out == printed
    assert said.err.endswith("To publish it: `git push --atomic origin HEAD models/adder-v1.0.1`\n")
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out == printed
    assert said.err.endswith("`adder` 1.0.1 was released before with the same content\n")


def test_version_that_is_none(adder: Workspace) -> None:
    """A version that is no exact one is told before anything else."""
    change(adder, MODEL / "pyproject.toml", "1.0.0", "1.0")
    with pytest.raises(BuildError) as caught:
        release(adder)
    assert str(caught.value) == (
        f"{adder.root / MODEL / 'pyproject.toml'}: expected one exact version such as `1.0.0`, "
        "found `1.0`"
    )

"""The command line: results on standard output, one line for an error, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock

pytestmark = pytest.mark.usefixtures("index")


@pytest.fixture(autouse=True)
def _inside(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are given inside the repository."""
    monkeypatch.chdir(workspace.root / "models")


def test_lock_and_check(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A composition is locked, and fresh after that."""
    assert main(["lock", "pair"]) == 0
    digest = Lock.read(workspace.composition("pair")).digest
    table, *_, last = capsys.readouterr().out.splitlines()
    assert table.split() == ["environment", "model", "wheel", "requires"]
    assert last == f"compositions/pair/lock.toml {digest}"
    assert main(["check", "pair"]) == 0
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/more.py", "")
    tiny.track(workspace.root)
    assert main(["check", "pair"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: the lock of `pair` is not what would be locked now: `stevedore-model-iris` 1.0.0 "
        "changed; run `make lock NAME=pair` and review what it changes"
    )


def test_layout(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A layout is made, whole or restricted to one model, and its place printed."""
    main(["lock", "pair"])
    capsys.readouterr()
    assert main(["layout", "pair"]) == 0
    whole = Path(capsys.readouterr().out.strip())
    assert main(["layout", "pair", "--model", "iris"]) == 0
    alone = Path(capsys.readouterr().out.strip())
    assert (whole / "models" / "digits").is_dir()
    assert sorted(path.name for path in (alone / "models").iterdir()) == ["iris"]
    assert whole.is_relative_to(workspace.store.layouts)


def test_layout_of_an_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    """A model that the composition does not hold is refused."""
    main(["lock", "pair"])
    assert main(["layout", "pair", "--model", "tulip"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: composition `pair` holds no model `tulip`; it holds `iris`, `digits`"
    )


def test_broken_manifest(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong with a document is told as it is."""
    file = workspace.composition("pair") / "composition.toml"
    file.write_text("name")
    assert main(["check", "pair"]) == 1
    assert capsys.readouterr().err == (
        f"error: {file}: not TOML: Expected '=' after a key in a key/value pair "
        "(at end of document)\n"
    )


def test_checks(capfd: pytest.CaptureFixture[str]) -> None:
    """Tests run in the Python that is given, with what stands after `--`."""
    main(["lock", "pair"])
    command = ["--python", sys.executable, "--", "--collect-only"]
    assert main(["test-model", "iris", *command]) == 0
    assert main(["test-composition", "pair", *command]) == 0
    said = capfd.readouterr().out
    assert "<Function test_model>" in said
    assert "<Function test_pair>" in said


def test_help() -> None:
    """Every command says what it does."""
    done = subprocess.run(
        [sys.executable, "-m", "stevedore_build", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for command in ("lock", "check", "serve", "layout", "test-model", "test-composition"):
        assert command in [line.split()[0] for line in done.stdout.splitlines() if line.strip()]


def test_nothing_passed_yet(capsys: pytest.CaptureFixture[str]) -> None:
    """Where something is to be done, `passed` fails without a word: what does it will speak."""
    main(["lock", "pair"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["passed", "pair"])
    assert caught.value.code == 1
    assert capsys.readouterr() == ("", "")

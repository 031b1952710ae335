"""`declare-weights` and `fetch-weights`: recording what is fetched, and fetching it ahead."""

import hashlib
import os
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.workspace import Workspace

pytestmark = pytest.mark.usefixtures("index")

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://files.example.test/large.npy"
RECORD = "models/iris/src/stevedore_model_iris/weights/weights.toml"
SCHEMA = '{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array"}'
CREATED = "# Written by train.py.\ncreated = 2026-01-31T12:00:00Z\n\n[sha256]\n"


@pytest.fixture
def large(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights that git ignores, in the directory of the model `iris`."""
    monkeypatch.chdir(workspace.root)
    file = Path("models", "iris", "large", "large.npy")
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    tiny.write(Path("models", "iris", ".gitignore"), "large/\n")
    return file


def declare(*arguments: str) -> int:
    """Run the command for the model `iris`."""
    return main(["declare-weights", "iris", *arguments])


def test_an_address(workspace: Workspace, large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, size, sha256 and address are recorded; a model without a record gets one."""
    assert declare(str(large), "--url", URL) == 0
    said = capsys.readouterr()
    assert said.out == f"{RECORD}\n"
    assert said.err.splitlines()[0] == "Keeping `large.npy`, 7.0 kB …"
    assert len(said.err.splitlines()) == 2
    assert (workspace.root / RECORD).read_text() == (
        "# Written by train.py.\n"
        "created = 2023-11-14T22:13:20Z\n"
        "\n"
        "[sha256]\n"
        "\n"
        "[[weights]]\n"
        'file = "large.npy"\n'
        f'sha256 = "{SHA256}"\n'
        "size_bytes = 7000\n"
        f'url = "{URL}"\n'
    )
    assert (workspace.store.weights / "sha256" / SHA256).read_bytes() == CONTENT


def test_a_path(workspace: Workspace, large: Path) -> None:
    """Without an address the file's place is recorded; the rest of the record stays."""
    kept = f'"small.txt" = "{"a" * 64}"\n'
    tiny.write(workspace.root / RECORD, f'{CREATED}{kept}"large.npy" = "{"b" * 64}"\n')
    assert declare(str(large)) == 0
    assert (workspace.root / RECORD).read_text() == (
        f'{CREATED}{kept}\n[[weights]]\nfile = "large.npy"\nsha256 = "{SHA256}"\n'
        'size_bytes = 7000\npath = "large/large.npy"\n'
    )
    assert declare(str(large), "--url", URL) == 0
    assert (workspace.root / RECORD).read_text().endswith(f'size_bytes = 7000\nurl = "{URL}"\n')


def test_what_git_does_is_said(large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that git would take, or has, is named with what to do."""
    Path("models", "iris", ".gitignore").unlink()
    assert declare(str(large)) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        "git does not ignore it: name `large.npy` in a `.gitignore`"
    )
    tiny.track(Path())
    assert declare(str(large)) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"git tracks it: run `git rm --cached {large}`, and name it in a `.gitignore`"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["absent.npy"], "absent.npy: there is no such file"),
        (
            ["outside.npy"],
            (
                "outside.npy: lies outside of `models/iris`, so others would not find it; say "
                "where it is fetched from with `--url`, or put it there, where git ignores it"
            ),
        ),
        (
            ["outside.npy", "--url", "https://me:secret@example.test/a"],
            (
                "outside.npy: `weights[1].url`: expected an address without user, password and "
                "query, such as `https://…/model.npy`, found `https://me:secret@example.test/a`"
            ),
        ),
    ],
)
def test_what_cannot_be_recorded(
    workspace: Workspace,
    large: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    """One line says why, and no record is written."""
    large.rename("outside.npy")
    assert declare(*arguments) == 1
    assert capsys.readouterr().err == f"error: {problem}\n"
    assert not (workspace.root / RECORD).exists()


def test_fetched_ahead(
    workspace: Workspace, large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that a composition needs is in the cache after that, and where is printed."""
    assert declare(str(large)) == 0
    package = workspace.root / "models/iris/src/stevedore_model_iris"
    for kind in ("predict", "score"):
        tiny.write(package / f"{kind}.schema.json", SCHEMA)
        tiny.write(package / "examples" / f"{kind}.json", "[1]")
    tiny.track(workspace.root)
    assert main(["lock", "pair"]) == 0
    kept = workspace.store.weights / "sha256" / SHA256
    kept.unlink()
    capsys.readouterr()
    assert main(["fetch-weights", "pair"]) == 0
    assert capsys.readouterr().out == f"{kept}\n"
    assert kept.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("size_bytes", "size_byte"),
            (
                "{file}: `weights[1].size_bytes`: missing; expected a whole number from 1 to "
                "1099511627776\n  {file}: `weights[1].size_byte`: unknown key; did you mean "
                "`size_bytes`?"
            ),
        ),
        (
            ("[sha256]", f'[sha256]\n"large.npy" = "{SHA256}"'),
            (
                "{file}: `sha256.large.npy`: is in `[[weights]]`, too, as a file that is fetched; "
                "remove one\n  {file}: `sha256.large.npy`: expected a file in `weights/`, found "
                "none of that name"
            ),
        ),
    ],
)
def test_a_record_that_is_wrong(
    workspace: Workspace,
    large: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    problem: str,
) -> None:
    """It is told before a wheel is built, with file and key."""
    assert declare(str(large)) == 0
    package = workspace.root / "models/iris/src/stevedore_model_iris"
    for kind in ("predict", "score"):
        tiny.write(package / f"{kind}.schema.json", SCHEMA)
        tiny.write(package / "examples" / f"{kind}.json", "[1]")
    record = workspace.root / RECORD
    record.write_text(record.read_text().replace(*change))
    tiny.track(workspace.root)
    assert main(["lock", "pair"]) == 1
    told = problem.format(file="src/stevedore_model_iris/weights/weights.toml")
    assert capsys.readouterr().err.endswith(f"{workspace.root}/models/iris: 2 problems\n  {told}\n")

"""`ml-stevedore init` writes a workspace into an empty directory, and says why it does not."""

import hashlib
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tiny
import written

from stevedore_build.cli.program import main
from stevedore_build.errors import IndexFailed, WorkspaceInvalid
from stevedore_build.scaffolds.new_workspace import TEMPLATE, init_workspace
from stevedore_build.wheels.pins import wheels_of
from stevedore_core.manifest import Manifest

ROOT = Path(__file__).parents[4]
OWN = ("api", "build", "core")


class Quiet(SimpleHTTPRequestHandler):
    """Serves a directory and logs nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the library
        """Say nothing."""


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A directory with a wheel of each of our packages."""
    directory = tmp_path / "wheels"
    for folder in OWN:
        files = {f"stevedore_{folder}/__init__.py": ""}
        tiny.write_wheel(directory, f"ml_py_stevedore_{folder}", "0.1.0", files=files)
    return directory


@pytest.fixture(autouse=True)
def author(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests, git knows who commits."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "tests")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tests@tests.invalid")


def git(root: Path, *arguments: str) -> list[str]:
    """Return the lines that git prints."""
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", written.shared_texts())
def test_one_text(name: str) -> None:
    """What this repository shares with a written workspace is one text, and the copy is that."""
    copy = (TEMPLATE / name).read_text(encoding="utf-8")
    advice = "run `nox -s docs -- --write`"
    assert copy == written.shared_texts()[name], f"templates/workspace/{name} differs: {advice}"


def test_what_is_only_here_is_left_out() -> None:
    """The written noxfile has no session that tests packages, and the others are all there."""
    texts = [
        (place / "noxfile.py").read_text(encoding="utf-8").splitlines()
        for place in (ROOT, TEMPLATE)
    ]
    here, there = ({line for line in text if line.startswith("def ")} for text in texts)
    assert there < here
    left_out = {line.split("(")[0].removeprefix("def ") for line in here - there}
    assert {"test_package", "docs", "faults", "soak", "bench"} <= left_out
    assert not {"lint", "types", "test_model", "test_composition", "test_image"} & left_out


def test_the_same_settings() -> None:
    """Style, types and pytest are set up as here, but for what is only here."""
    here, there = (
        tomllib.loads((place / "pyproject.toml").read_text("utf-8"))["tool"]
        for place in (ROOT, TEMPLATE)
    )
    del here["ruff"]["src"], here["mypy"]["overrides"], here["mypy"]["exclude"]
    del here["mypy"]["mypy_path"]
    options = here["pytest"]["ini_options"]
    del options["pythonpath"]
    assert options["addopts"][-2:] == ["-p", "no:schemathesis"]  # it is installed here only
    del options["addopts"][-2:]
    ignores = here["ruff"]["lint"]["per-file-ignores"]
    for places in [key for key in ignores if key.startswith(("tests/", "**/templates/"))]:
        del ignores[places]
    assert there["ruff"].pop("src") == ["models/*/src"]
    assert there["ruff"]["lint"].pop("isort") == {"known-first-party": ["stevedore_core"]}
    assert there == here


def test_empty_directory(tmp_path: Path, wheels: Path) -> None:
    """All of it is committed, and what it pins is what lies beside the pins."""
    workspace = init_workspace(tmp_path / "new", wheels=wheels, lock=False)
    root = workspace.root
    assert git(root, "status", "--porcelain") == []
    assert git(root, "log", "--format=%s") == ["Start from what `ml-stevedore init` writes"]
    assert len(git(root, "ls-files", "requirements/wheels")) == len(OWN)
    for name in (".gitignore", ".github/workflows/test.yml", "models/line/train.py"):
        assert (root / name).is_file(), name
    manifest = Manifest.parse(workspace.composition("example") / "composition.toml")
    found = wheels_of(manifest, workspace=workspace)
    assert [wheel.version for wheel in found] == ["0.1.0", "0.1.0", "0.1.0"]


def test_every_file_of_the_template_is_written(tmp_path: Path, wheels: Path) -> None:
    """Nothing of the template is lost, and no cache beside it is taken along."""
    root = init_workspace(tmp_path / "new", wheels=wheels, lock=False).root
    template = {name.replace("gitignore", ".gitignore") for name in git(TEMPLATE, "ls-files")}
    more = {"requirements/stevedore.in", "requirements/stevedore.txt"}
    kept = {f"requirements/wheels/{file.name}" for file in wheels.iterdir()}
    assert set(git(root, "ls-files")) == template | more | kept


def test_repository_without_our_files(tmp_path: Path, wheels: Path) -> None:
    """Its README stays, its `.gitignore` gets our lines, and nothing is committed for its owner."""
    root = tmp_path / "mine"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / "README.md").write_text("mine\n")
    (root / ".gitignore").write_text("*.csv\ndist/")
    tiny.commit(root)
    init_workspace(root, wheels=wheels, lock=False)
    assert (root / "README.md").read_text() == "mine\n"
    lines = (root / ".gitignore").read_text().splitlines()
    assert lines[:3] == ["*.csv", "dist/", "__pycache__/"]
    assert lines.count("dist/") == 1
    assert git(root, "log", "--format=%s") == ["Change"]
    assert "A  Makefile" in git(root, "status", "--porcelain")


def test_nothing_is_overwritten(tmp_path: Path, wheels: Path) -> None:
    """Files of ours that are there are named, and nothing was written."""
    root = tmp_path / "mine"
    tiny.write(root / "Makefile", "all:\n")
    tiny.write(root / "pyproject.toml", "")
    with pytest.raises(WorkspaceInvalid) as caught:
        init_workspace(root, wheels=wheels, lock=False)
    assert str(caught.value) == (
        f"{root}: holds `Makefile`, `pyproject.toml` already, and `ml-stevedore init` overwrites "
        "nothing; run it in an empty directory, or move them away"
    )
    assert {path.name for path in root.iterdir()} == {"Makefile", "pyproject.toml"}


def test_inside_another_repository(tmp_path: Path, wheels: Path) -> None:
    """A workspace is the top of its repository: history is read from there."""
    git(tmp_path, "init", "--quiet")
    root = tmp_path / "deep"
    with pytest.raises(WorkspaceInvalid) as caught:
        init_workspace(root, wheels=wheels, lock=False)
    assert str(caught.value) == (
        f"{root}: lies inside the git repository {tmp_path}, and a workspace is a repository of "
        "its own; run this at the top of that repository, or in a directory outside of it"
    )


def test_a_wheel_is_missing(tmp_path: Path, wheels: Path) -> None:
    """Each package is there exactly once; then nothing was written."""
    next(wheels.glob("*_api-*")).unlink()
    with pytest.raises(WorkspaceInvalid) as caught:
        init_workspace(tmp_path / "new", wheels=wheels, lock=False)
    assert str(caught.value) == (
        f"`--wheels`: expected one wheel of `ml-py-stevedore-api` in `{wheels}`, found none"
    )
    assert git_files(tmp_path / "new") == []


def test_two_wheels(tmp_path: Path, wheels: Path) -> None:
    """Of two versions none is preferred."""
    tiny.write_wheel(wheels, "ml_py_stevedore_core", "0.2.0")
    tiny.write(wheels / "not_a_wheel.whl", "")
    with pytest.raises(WorkspaceInvalid) as caught:
        init_workspace(tmp_path / "new", wheels=wheels, lock=False)
    assert str(caught.value) == (
        f"`--wheels`: expected one wheel of `ml-py-stevedore-core` in `{wheels}`, found "
        "`ml_py_stevedore_core-0.1.0-py3-none-any.whl`, "
        "`ml_py_stevedore_core-0.2.0-py3-none-any.whl`"
    )


def test_no_directory_of_wheels(tmp_path: Path) -> None:
    """What is no directory is named."""
    with pytest.raises(WorkspaceInvalid) as caught:
        init_workspace(tmp_path / "new", wheels=tmp_path / "nowhere", lock=False)
    assert str(caught.value) == (
        f"`--wheels`: expected a directory of wheels, found `{tmp_path / 'nowhere'}`"
    )


@pytest.fixture
def published(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The wheels in a package index on this machine; where it lists them."""
    pages = tmp_path / "published"
    for file in sorted(wheels.glob("*.whl")):
        page = pages / file.name.split("-")[0].replace("_", "-")
        page.mkdir(parents=True)
        shutil.copy(file, page)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        (page / "index.html").write_text(f'<a href="{file.name}#sha256={sha256}">{file.name}</a>')
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=pages)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/")
        yield pages
        server.shutdown()


def test_from_an_index(tmp_path: Path, wheels: Path, published: Path) -> None:
    """Without `--wheels` the pins are those of an index, the same ones."""
    assert published.is_dir()
    pinned = init_workspace(tmp_path / "kept", wheels=wheels, lock=False).root
    root = init_workspace(tmp_path / "new", lock=False).root
    for name in ("stevedore.in", "stevedore.txt"):
        place = Path("requirements") / name
        assert (root / place).read_text() == (pinned / place).read_text()
    assert not (root / "requirements" / "wheels").exists()


def test_an_index_without_them(tmp_path: Path, published: Path) -> None:
    """As long as no index has them, the message says what else there is."""
    shutil.rmtree(published / "ml-py-stevedore-build")
    with pytest.raises(IndexFailed) as caught:
        init_workspace(tmp_path / "new", lock=False)
    first, *_, last = str(caught.value).splitlines()
    assert first == "the package index does not give core, api and build: `uv` ended with 1:"
    assert last == ("Name a directory that has their wheels: `ml-stevedore init --wheels DIR`")


def test_command(
    tmp_path: Path,
    wheels: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command works outside of a workspace and says what to type next."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "new", "--wheels", str(wheels), "--no-lock"]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'new'} holds the model `line` and the composition `example`. Next:\n"
        "  cd new\n  make serve\n  make test\n"
    )


def test_git_knows_nobody(
    tmp_path: Path,
    wheels: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without an author everything is staged, and the message says what is left to do."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    root = init_workspace(tmp_path / "new", wheels=wheels, lock=False).root
    assert "A  Makefile" in git(root, "status", "--porcelain")
    assert capsys.readouterr().err.splitlines()[-1] == (
        "git does not know who you are; set `user.name` and `user.email`, and `git commit`"
    )


def git_files(root: Path) -> list[Path]:
    """Return the files below a directory, but for what is being written."""
    return [path for path in root.rglob("*") if path.is_file()]

"""`make` and `nox`: what they say where something is missing."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
INPUTS = sorted((*ROOT.glob("requirements/*.in"), *ROOT.glob("benchmarks/requirements/*.in")))
WITH_OURS = {
    file: packages
    for file in INPUTS
    if (packages := re.findall(r"^-e \./(packages/\w+)", file.read_text("utf-8"), re.MULTILINE))
}
"""Which packages of ours a locked set of tools is installed for."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without tools: the Makefile, the noxfile, and what these look for."""
    files = ["Makefile", "noxfile.py", "requirements/uv.txt", "requirements/tools.txt"]
    files += [f"{place}/pyproject.toml" for place in ("packages/core", "packages/build")]
    for file in (*files, "models/iris/pyproject.toml", "compositions/bundle/composition.toml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def programs(directory: Path, *names: str) -> str:
    """Return a `PATH` on which only some programs are."""
    directory.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (directory / name).symlink_to(found)
    return str(directory)


def make(checkout: Path, *arguments: str, path: str) -> tuple[int, str]:
    """Return how `make` ended, and what it said first."""
    done = subprocess.run(
        [str(shutil.which("make")), *arguments],
        cwd=checkout,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stderr or done.stdout).splitlines()[0]


def nox(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Return how nox ended, and all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "nox", *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_no_git(checkout: Path) -> None:
    """Without git, one sentence says what to install."""
    path = programs(checkout / "programs", "sh", "python3")
    assert make(checkout, "tools", path=path) == (
        2,
        "Install git (Debian: apt-get install git) and run this again.",
    )


@pytest.mark.parametrize("python", ["absent", "false"])
def test_no_python(checkout: Path, python: str) -> None:
    """Without a Python that is new enough and has venv, the same."""
    path = programs(checkout / "programs", "sh", "git", "false")
    assert make(checkout, "serve", f"PYTHON={python}", path=path) == (
        2,
        (
            "Install Python 3.11 or newer with venv (Debian: apt-get install python3 python3-venv) "
            "and run this again."
        ),
    )


def test_every_target_has_help() -> None:
    """Whatever can be asked of `make` has a line of help."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    phony = {line.split()[1] for line in lines if line.startswith(".PHONY: ")}
    helped = {line.split(":")[0] for line in lines if ": " in line and " ## " in line}
    assert phony == helped


@pytest.mark.parametrize("directory", ["packages", "models", "compositions"])
def test_nothing_found(checkout: Path, directory: str) -> None:
    """Sessions without anything to test would all pass, so finding nothing fails."""
    shutil.rmtree(checkout / directory)
    status, said = nox(checkout, "--list")
    assert status != 0
    assert f"nothing matches `{directory}/*/" in said


def test_unknown_model(checkout: Path) -> None:
    """A name that no model has fails, instead of leaving every model out."""
    status, said = nox(checkout, "-s", "test_model", "--no-venv", "--", "tulip")
    assert status == 1
    assert "there is no tulip; there are iris" in said


def test_unknown_composition(checkout: Path) -> None:
    """The same for the composition whose models are asked for."""
    status, said = nox(checkout, "-s", "test_model", "--no-venv", "--", "--composition=tulip")
    assert status == 1
    assert "there is no composition `tulip`; there are ['bundle']" in said


def test_names_of_sessions(checkout: Path) -> None:
    """Each model and each composition has a session of its own, called by its name."""
    status, said = nox(checkout, "--list")
    assert status == 0
    for session in ("test_model(iris)", "test_composition(bundle)", "test_package(core)"):
        assert session in said


@pytest.mark.parametrize(
    ("file", "packages"), WITH_OURS.items(), ids=[file.stem for file in WITH_OURS]
)
def test_tools_have_what_ours_require(file: Path, packages: list[str]) -> None:
    """What a package of ours requires is pinned beside it: `make lock-tools` adds what is new."""
    locked = file.with_suffix(".txt").read_text("utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", locked, re.MULTILINE))
    projects = [tomllib.loads((ROOT / name / "pyproject.toml").read_text()) for name in packages]
    required = [Requirement(line) for each in projects for line in each["project"]["dependencies"]]
    assert [
        str(wanted)
        for wanted in required
        if not wanted.name.startswith("ml-py-stevedore-")
        and (wanted.name not in pins or pins[wanted.name] not in wanted.specifier)
    ] == []

"""Model packages of every framework, made in a clone: trained, tested, composed and served.

`nox -s scaffolds` runs it. PyTorch has a session of its own, as what it needs is large.
"""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from newcomer import STEVEDORE, clone_to, run

from stevedore_build.scaffolds.frameworks import frameworks

PATCHES: Final = Path(__file__).parent / "patches"
TASKS: Final = ("label", "number")
HERE: Final = [name for name in frameworks() if name != "torch"]
FITTED: Final = [name for name in HERE if frameworks()[name].suffixes]
MOST_CHANGED_LINES: Final = 39

Make = Callable[[str, str], Path]
"""Makes the package of a framework for a task, and returns where it is."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone the repository as it is committed."""
    return clone_to(tmp_path_factory.mktemp("scaffolds") / "stevedore")


@pytest.fixture(scope="module")
def make(clone: Path) -> Make:
    """Make packages, each once, however often it is asked for."""

    @cache
    def made(framework: str, task: str) -> Path:
        name = f"{framework}-{task}"
        stevedore(clone, "new-model", name, "--framework", framework, "--task", task)
        return clone / "models" / name

    return made


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("framework", HERE)
def test_made_model_passes_its_tests(clone: Path, make: Make, framework: str, task: str) -> None:
    """A package that nobody has touched is trained and fulfils the contract."""
    check_alone(clone, make(framework, task))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("framework", FITTED)
def test_model_from_weights(clone: Path, make: Make, framework: str, task: str) -> None:
    """The weights of one package, as a fitted file, are the beginning of another."""
    (file,) = make(framework, task).glob("src/*/weights/model.*")
    check_started(clone, f"{framework}-{task}-again", file)


@pytest.mark.parametrize(
    ("model", "weights", "columns"),
    [("iris", "model.skops", 0), ("diabetes", "model.txt", 10), ("digits", "model.onnx", 0)],
)
def test_model_from_weights_of_ours(clone: Path, model: str, weights: str, columns: int) -> None:
    """So are those of this repository's models; names of columns become those of a payload."""
    (file,) = clone.glob(f"models/{model}/src/*/weights/{weights}")
    place = check_started(clone, f"{model}-again", file)
    (example,) = place.glob("src/*/examples/predict.json")
    instance = json.loads(example.read_text("utf-8"))[0]
    assert isinstance(instance, dict) == bool(columns)
    assert not columns or len(instance) == columns


def test_all_in_one_composition(clone: Path, make: Make) -> None:
    """All that were made are locked together, served and asked over HTTP."""
    names = [make(framework, task).name for framework in HERE for task in TASKS]
    stevedore(clone, "new-composition", "made", "--models", " ".join(names))
    # Layers made in two directories are compared where `make tools` was run, for what is committed.
    asked = ["-q", "-k", "not another_directory"]
    stevedore(clone, "test-composition", "made", "--python", sys.executable, "--", *asked)


@pytest.mark.parametrize("framework", HERE)
def test_code_is_clean(clone: Path, make: Make, framework: str) -> None:
    """What is generated, and for a framework's values, passes linter, formatter and types."""
    for place in (make(framework, task) for task in TASKS):
        run(sys.executable, "-m", "ruff", "check", str(place), cwd=clone)
        run(sys.executable, "-m", "ruff", "format", "--check", str(place), cwd=clone)
        run(sys.executable, "-m", "mypy", "--ignore-missing-imports", str(place), cwd=clone)


@pytest.mark.parametrize(
    ("name", "task"), [("breast-cancer", "label"), ("diabetes-progression", "number")]
)
def test_few_lines_make_it_real(
    clone: Path, name: str, task: str, record_property: Callable[[str, object], None]
) -> None:
    """A generated package becomes a model of a real data set by fewer than 40 changed lines.

    Counted are lines added and removed by hand; what training writes is not.
    """
    stevedore(clone, "new-model", name, "--framework", "sklearn", "--task", task)
    made = f"models/{name}"
    run("git", "commit", "--quiet", "--message", f"Make {name}", "--", made, cwd=clone)
    run("git", "apply", str(PATCHES / f"{name}.patch"), cwd=clone)
    counted = run("git", "diff", "--numstat", "--", made, cwd=clone).splitlines()
    changed = sum(int(n) for line in counted for n in line.split("\t")[:2])
    record_property("changed_lines", changed)
    print(f"{name}: {changed} lines changed")  # noqa: T201 - the figure
    assert 0 < changed <= MOST_CHANGED_LINES
    stevedore(clone, "train-model", name)
    check_alone(clone, clone / made)


def check_started(clone: Path, name: str, file: Path) -> Path:
    """Make a package from a fitted file and test it."""
    stevedore(clone, "new-model", name, "--from", str(file))
    check_alone(clone, clone / "models" / name)
    return clone / "models" / name


def check_alone(clone: Path, place: Path) -> None:
    """Test a model alone, as `make test-model` does."""
    stevedore(clone, "test-model", place.name, "--python", sys.executable, "--", "-q")


def stevedore(clone: Path, *arguments: str) -> str:
    """Run a command of `ml-stevedore` in the clone."""
    return run(*STEVEDORE, *arguments, cwd=clone)

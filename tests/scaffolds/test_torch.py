"""A model package of PyTorch, rendered, trained and tested in the Python that runs this.

`nox -s scaffold_torch` runs it, with the PyTorch that pip finds: on Linux, an index has one that
brings CUDA along, which no layout needs to be tested.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from newcomer import ROOT, run

from stevedore_build.scaffolds.fitted_files import made_up
from stevedore_build.scaffolds.frameworks import find_framework
from stevedore_build.scaffolds.models import answers_for
from stevedore_build.scaffolds.templating import render
from stevedore_build.workspace import Workspace


@pytest.fixture(scope="module", params=["label", "number"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a model for a task, as `make new-model` renders it, not trained."""
    root = tmp_path_factory.mktemp("torch")
    run("git", "init", "--quiet", cwd=root)
    shutil.copy(ROOT / "pyproject.toml", root)
    facts = made_up(find_framework("torch"), task=request.param)
    name = f"torch-{request.param}"
    answers = answers_for(name, facts, Workspace(root=root), from_file=False)
    render(answers, root / "models" / name)
    return root / "models" / name


@pytest.fixture(scope="module")
def installed(place: Path) -> Iterator[Path]:
    """The same, installed beside PyTorch as long as its tests run."""
    python(place, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
    yield place
    python(place, "-m", "pip", "uninstall", "--quiet", "--yes", f"stevedore-model-{place.name}")


def test_made_model_passes_its_tests(installed: Path) -> None:
    """A package that nobody has touched is trained and fulfils the contract."""
    python(installed, "train.py")
    (weights,) = installed.glob("src/*/weights/model.safetensors")
    first = weights.read_bytes()
    python(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    python(installed, "train.py")
    assert weights.read_bytes() == first


def test_code_is_typed(installed: Path) -> None:
    """The types fit where PyTorch says its own."""
    python(
        installed, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "src", "train.py"
    )


def python(directory: Path, *arguments: str) -> None:
    """Run this Python, which has to succeed."""
    run(sys.executable, *arguments, cwd=directory, OMP_NUM_THREADS="1")

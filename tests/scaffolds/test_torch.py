"""A model package of PyTorch, rendered, trained and tested in the Python that runs this.

`nox -s scaffold_torch` runs it, with the PyTorch that pip finds: on Linux, an index has one that
brings CUDA along, which no layout needs to be tested.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from stevedore_build.scaffolds.fitted_files import made_up
from stevedore_build.scaffolds.frameworks import find_framework
from stevedore_build.scaffolds.models import answers_for
from stevedore_build.scaffolds.templating import render
from stevedore_build.workspace import Workspace

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["label", "number"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a model for a task, as `make new-model` renders it, not trained."""
    root = tmp_path_factory.mktemp("torch")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    shutil.copy(ROOT / "pyproject.toml", root)
    facts = made_up(find_framework("torch"), task=request.param)
    name = f"torch-{request.param}"
    answers = answers_for(name, facts, Workspace(root=root), from_file=False)
    render(answers, root / "models" / name)
    return root / "models" / name


@pytest.fixture(scope="module")
def installed(place: Path) -> Iterator[Path]:
    """The same, installed beside PyTorch as long as its tests run."""
    run(place, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
    yield place
    run(place, "-m", "pip", "uninstall", "--quiet", "--yes", f"stevedore-model-{place.name}")


def test_made_model_passes_its_tests(installed: Path) -> None:
    """A package that nobody has touched is trained and fulfils the contract."""
    run(installed, "train.py")
    (weights,) = installed.glob("src/*/weights/model.safetensors")
    first = weights.read_bytes()
    run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    run(installed, "train.py")
    assert weights.read_bytes() == first


def test_code_is_typed(installed: Path) -> None:
    """The types fit where PyTorch says its own."""
    run(installed, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "src", "train.py")


def run(directory: Path, *arguments: str) -> None:
    """Run this Python, which has to succeed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"

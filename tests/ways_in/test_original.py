"""An original `model.py` becomes model packages that pass their tests and are served."""

import json
import sys
from pathlib import Path
from typing import Final

import pytest
from newcomer import STEVEDORE, ask, clone_to, free_port, run, served

from stevedore_build.processes import uv_program

ORIGINAL: Final = Path(__file__).parent / "original" / "service" / "model" / "model.py"
NEEDS: Final = ("lightgbm==4.7.0", "scikit-learn==1.9.1", "skops==0.16.0", "xgboost-cpu==3.2.0")
NAMES: Final = ("flowers", "boosted", "progress", "leaves")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import the original into a clone, by a Python that has what the original needs."""
    room = tmp_path_factory.mktemp("import")
    clone = clone_to(room / "clone")
    run(uv_program(), "venv", "--quiet", "--python", "3.11", "author", cwd=room)
    python = str(room / "author" / "bin" / "python")
    run(uv_program(), "pip", "install", "--quiet", "--python", python, *NEEDS, cwd=room)
    command = ["import-model", str(ORIGINAL), "--python", python]
    assert run(*STEVEDORE, *command, cwd=clone).split() == list(NAMES)
    return clone


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_its_tests(clone: Path, name: str) -> None:
    """The contract holds, and it answers as it did when it was fitted."""
    run(*STEVEDORE, "test-model", name, "--python", sys.executable, cwd=clone)


def test_it_is_served(clone: Path) -> None:
    """A caller gets the prediction that the fitted model gave."""
    place = clone / "models" / "flowers"
    example = place / "src" / "stevedore_model_flowers" / "examples" / "predict.json"
    port = free_port()
    serve = [*STEVEDORE, "serve", "--model", "flowers", "--port", str(port)]
    with served(*serve, cwd=clone, port=port):
        answer = ask(port, "POST", "/models/flowers/predict", example.read_text("utf-8"))
    assert answer == (200, json.loads((place / "tests" / "answer.json").read_text("utf-8")))


def test_style_and_types_are_left_to_its_author(clone: Path) -> None:
    """What was copied is not checked, and what was written around it passes."""
    models = [f"models/{name}" for name in NAMES]
    run(sys.executable, "-m", "mypy", "--ignore-missing-imports", models[0], cwd=clone)
    for name in NAMES:
        (code,) = (clone / "models" / name).glob("src/*/__init__.py")
        assert max(map(len, code.read_text("utf-8").splitlines())) <= 100

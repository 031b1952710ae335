"""The arrows between packages: who may import whom, over every file that is found.

models/<name> ──► packages/core ◄── packages/api
                        ▲
                  packages/build
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = sorted(path for path in ROOT.glob("packages/*/src") if path.is_dir())
MODELS = sorted(path for path in ROOT.glob("models/*/src") if path.is_dir())

CORE = ROOT / "packages/core/src"
API = ROOT / "packages/api/src"
BUILD = ROOT / "packages/build/src"
TESTING = CORE / "stevedore_core/testing"

# What the contract may cost a model's environment: no web, no numerics, no framework.
CORE_NEEDS = {"jiter", "jsonschema_rs", "msgspec", "orjson"}
# The conformance suite runs where a model is tested, behind an extra.
TESTING_NEEDS = {"jsonschema", "pytest"}


def own_names(source: Path) -> set[str]:
    """Return the import names that a directory of sources provides."""
    return {path.parent.name for path in source.glob("*/__init__.py")}


def imported(source: Path) -> Iterator[tuple[Path, str]]:
    """Find every top-level name that any file below imports, wherever in the file."""
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield path, str(node.module).partition(".")[0]


def crossings(source: Path, forbidden: set[str]) -> list[str]:
    """Return `file: name` for each import of a forbidden name."""
    return [
        f"{path.relative_to(ROOT)}: {name}" for path, name in imported(source) if name in forbidden
    ]


ALL_OWN = {name for source in (*PACKAGES, *MODELS) for name in own_names(source)}


def test_there_is_something_to_guard() -> None:
    """The three packages and the models are found; each provides one import name."""
    assert PACKAGES == [API, BUILD, CORE]
    assert MODELS
    assert len(ALL_OWN) == len(PACKAGES) + len(MODELS)
    assert all(list(imported(source)) for source in (*PACKAGES, *MODELS))


def test_core_imports_what_it_needs_and_nothing_else() -> None:
    """Outside the conformance suite: the standard library, itself and four small packages."""
    allowed = {*sys.stdlib_module_names, *CORE_NEEDS, "stevedore_core"}
    assert [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name in imported(CORE)
        if name not in allowed and not (TESTING in path.parents and name in TESTING_NEEDS)
    ] == []


def test_the_serving_modules_of_core_do_not_import_the_conformance_suite() -> None:
    """What needs pytest is never loaded by a worker."""
    for path in CORE.rglob("*.py"):
        if TESTING not in path.parents:
            assert "stevedore_core.testing" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("source", [API, BUILD], ids=["api", "build"])
def test_api_and_build_know_core_only(source: Path) -> None:
    """Api never imports build or a model by name; build imports neither api nor a model."""
    assert crossings(source, ALL_OWN - own_names(CORE) - own_names(source)) == []


@pytest.mark.parametrize("source", MODELS, ids=lambda source: source.parent.name)
def test_a_model_knows_core_only(source: Path) -> None:
    """A model imports no other model, and nothing that serves or builds it."""
    assert crossings(source, ALL_OWN - own_names(CORE) - own_names(source)) == []


UNSAFE = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}


@pytest.mark.parametrize("source", [*PACKAGES, *MODELS], ids=lambda source: source.parent.name)
def test_nothing_is_loaded_by_what_executes_on_loading(source: Path) -> None:
    """No package and no model imports pickle or what is built on it."""
    assert crossings(source, UNSAFE) == []


def loaded_by(statements: str) -> set[str]:
    """Return the top-level names that the statements load in a process of their own."""
    program = (
        "import sys, json; before = set(sys.modules)\n"
        f"{statements}\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    output = subprocess.check_output([sys.executable, "-c", program], env={})
    return set(json.loads(output)) - sys.stdlib_module_names


def test_the_worker_loads_no_web_no_numerics_and_no_framework() -> None:
    """What a worker holds before its models: core and what core needs, at run time too."""
    modules = [path.stem for path in CORE.glob("stevedore_core/*.py") if path.stem != "__init__"]
    assert "worker" in modules
    statements = "\n".join(f"import stevedore_core.{module}" for module in modules)
    # msgspec takes `typing_extensions` where it is installed, and does without it elsewhere.
    found = loaded_by(statements) - {"typing_extensions"}
    assert found == {"stevedore_core", *CORE_NEEDS}


def test_a_process_tells_what_it_loads() -> None:
    """Loading numpy would be seen."""
    assert "numpy" in loaded_by("import numpy")

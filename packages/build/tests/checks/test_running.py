"""Testing models alone and compositions together, on a tiny repository."""

import shutil
import sys
from pathlib import Path

import pytest
import tiny

from stevedore_build.checks import running
from stevedore_build.checks.running import (
    check_composition,
    check_model,
    composition_passed,
    refuse_other_than_locked,
)
from stevedore_build.errors import CheckFailed, LayerRefused, WorkspaceInvalid
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.layouts.joining import make_layout
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

pytestmark = pytest.mark.usefixtures("index")

PYTHON = Path(sys.executable)

ALONE = """
import importlib.metadata, os, sys

def test_alone():
    import stevedore_model_iris, stevedore_core
    assert "/models/iris/" in stevedore_model_iris.__file__
    assert "/own/core/" in stevedore_core.__file__
    found = importlib.metadata.entry_points(group="ml_py_stevedore.models").names
    assert set(found) == {"iris"}, found
    with open(os.environ["RAN"], "a") as ran:
        ran.write("x")
"""

TOGETHER = """
import json, os, urllib.request

def test_together():
    with urllib.request.urlopen(os.environ["STEVEDORE_URL"] + "/livez") as answer:
        assert answer.read() == b'"LIVE"'
    assert os.path.isdir(os.environ["STEVEDORE_LAYOUT"] + "/models/iris")
    assert os.path.exists(os.environ["STEVEDORE_PYTHON"])
    assert list(json.loads(os.environ["STEVEDORE_ALONE"])) == ["iris", "digits"]
    with open(os.environ["RAN"], "a") as ran:
        ran.write("x")
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that gets one letter for every run of the tests."""
    file = tmp_path / "ran"
    file.touch()
    monkeypatch.setenv("RAN", str(file))
    return file


def lock(workspace: Workspace) -> Lock:
    """Lock the composition `pair` and write it."""
    tiny.track(workspace.root)
    directory = workspace.composition("pair")
    manifest = Manifest.parse(directory / "composition.toml")
    locked = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    locked.write(directory)
    return locked


def test_model(workspace: Workspace, ran: Path) -> None:
    """The tests see the model, core and no other model; what passed does not run again."""
    tiny.write(workspace.root / "models/iris/tests/test_iris.py", ALONE)
    lock(workspace)
    for _ in (1, 2):
        check_model("iris", workspace=workspace, python=PYTHON)
    assert ran.read_text() == "x"
    check_model("iris", workspace=workspace, python=PYTHON, options=["-q"])
    assert ran.read_text() == "xx"


def test_model_runs_again(workspace: Workspace, ran: Path) -> None:
    """One byte of what a model's tests depend on runs them again; a byte of others does not."""
    tests = workspace.root / "models/iris/tests/test_iris.py"
    tiny.write(tests, ALONE)
    lock(workspace)
    check_model("iris", workspace=workspace, python=PYTHON)
    for count, (file, again) in enumerate(
        (
            ("models/digits/src/stevedore_model_digits/__init__.py", False),
            ("packages/api/src/stevedore_api/__init__.py", False),
            ("models/iris/tests/test_iris.py", True),
            ("requirements/test.txt", True),
            ("models/iris/src/stevedore_model_iris/__init__.py", True),
            ("packages/core/src/stevedore_core/__init__.py", True),
        )
    ):
        with (workspace.root / file).open("a") as stream:
            stream.write("\n")
        before = len(ran.read_text())
        check_model("iris", workspace=workspace, python=PYTHON)
        assert (len(ran.read_text()) > before) is again, (count, file)


def test_failing_model(workspace: Workspace) -> None:
    """Failing tests fail the check, each time."""
    tiny.write(workspace.root / "models/iris/tests/test_iris.py", "def test_x():\n    assert 0\n")
    lock(workspace)
    for _ in (1, 2):
        with pytest.raises(CheckFailed) as caught:
            check_model("iris", workspace=workspace, python=PYTHON)
        assert str(caught.value) == "models/iris/tests: tests failed, see above"


def test_model_without_tests(workspace: Workspace) -> None:
    """No tests is not the same as passed tests."""
    (workspace.root / "models/iris/tests/test_iris.py").unlink()
    lock(workspace)
    with pytest.raises(WorkspaceInvalid) as caught:
        check_model("iris", workspace=workspace, python=PYTHON)
    assert str(caught.value) == (
        f"{workspace.root / 'models/iris/tests'}: no `test_*.py` found; there must be at least one"
    )


def test_model_in_two_compositions(
    workspace: Workspace, index: Path, ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model is tested once for every set of pins that it ships with."""
    tiny.write_wheel(index, "alpha", "1.0")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    tiny.write(workspace.root / "models/iris/tests/test_iris.py", ALONE)
    lock(workspace)
    compositions = workspace.root / "compositions"
    for name in ("same", "other"):
        shutil.copytree(compositions / "pair", compositions / name)
        file = compositions / name / "composition.toml"
        file.write_text(file.read_text().replace('"pair"', f'"{name}"'))
    tiny.write_wheel(index, "alpha", "2.0")
    shutil.rmtree(compositions / "other" / "lock")
    (compositions / "other" / "lock.toml").unlink()
    check_model("iris", workspace=workspace, python=PYTHON)
    assert ran.read_text() == "xx"
    said = capsys.readouterr().err
    assert "model `iris` 1.0.0 alone, with the pins of composition `other`\n" in said
    assert (
        "model `iris` 1.0.0 alone, with the pins of composition `pair`, composition `same`\n"
        in said
    )


def test_older_version(workspace: Workspace, ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A version that a composition pins is tested with its own tests, as the one that is here."""
    tiny.write(workspace.root / "models/iris/tests/test_iris.py", ALONE)
    lock(workspace)
    tiny.commit(workspace.root)
    tiny.add_model(workspace.root, "iris", version="1.1.0")
    tiny.write(workspace.root / "models/iris/tests/test_iris.py", "def test_new():\n    pass\n")
    check_model("iris", workspace=workspace, python=PYTHON)
    assert ran.read_text() == "x"
    said = capsys.readouterr().err
    assert "model `iris` 1.0.0 alone, with the pins of composition `pair`\n" in said
    assert "model `iris` 1.1.0 alone, with the pins of `iris` alone\n" in said
    failing = "def test_x():\n    assert 0\n"
    tiny.write(workspace.root / "models/iris/tests/test_iris.py", failing)
    with pytest.raises(CheckFailed, match="models/iris/tests: tests failed"):
        check_model("iris", workspace=workspace, python=PYTHON)


def test_older_version_that_fails(workspace: Workspace) -> None:
    """The tests of the commit decide, not those that came later."""
    test = workspace.root / "models/iris/tests/test_iris.py"
    passing = test.read_text()
    tiny.write(test, "def test_x():\n    assert 0\n")
    lock(workspace)
    tiny.commit(workspace.root)
    tiny.add_model(workspace.root, "iris", version="1.1.0")
    tiny.write(test, passing)
    with pytest.raises(CheckFailed, match="tests failed, see above"):
        check_model("iris", workspace=workspace, python=PYTHON)


def test_older_version_without_tests(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version of which only the wheel is left is not tested alone, and that is said."""
    lock(workspace)
    [wheel] = [w for w in workspace.store.wheels.rglob("*.whl") if "iris" in w.name]
    shutil.copytree(wheel.parent, workspace.root / "dist/wheels")
    tiny.add_model(workspace.root, "iris", version="1.1.0")
    check_model("iris", workspace=workspace, python=PYTHON)
    assert (
        "model `iris` 1.0.0 alone, with the pins of composition `pair`: "
        "not tested, git history has no tests of this version\n"
    ) in capsys.readouterr().err


def test_model_in_no_composition(workspace: Workspace, ran: Path) -> None:
    """A model that no composition holds is tested all the same."""
    tiny.write(workspace.root / "models/iris/tests/test_iris.py", ALONE)
    manifest = workspace.composition("pair") / "composition.toml"
    manifest.write_text(manifest.read_text().replace('iris = "1.0.0"\n', ""))
    lock(workspace)
    check_model("iris", workspace=workspace, python=PYTHON)
    assert ran.read_text() == "x"


def test_composition(workspace: Workspace, ran: Path) -> None:
    """The tests reach the server and learn what it serves; what passed does not run again."""
    tiny.write(workspace.root / "compositions/pair/tests/test_pair.py", TOGETHER)
    lock(workspace)
    for _ in (1, 2):
        check_composition("pair", workspace=workspace, python=PYTHON)
    assert ran.read_text() == "x"


def test_every_composition_is_asked_the_same(workspace: Workspace, ran: Path) -> None:
    """The tests of every composition run with its own, also where it has none of its own."""
    tiny.write(workspace.root / "tests/composition/test_served.py", TOGETHER)
    lock(workspace)
    own = workspace.composition("pair") / "tests"
    (own / "test_pair.py").write_text(TOGETHER)
    check_composition("pair", workspace=workspace, python=PYTHON)
    assert ran.read_text() == "xx"
    shutil.rmtree(own)
    check_composition("pair", workspace=workspace, python=PYTHON)
    assert ran.read_text() == "xxx"


def test_composition_without_tests(workspace: Workspace) -> None:
    """No tests is not the same as passed tests."""
    lock(workspace)
    own = workspace.composition("pair") / "tests"
    shutil.rmtree(own)
    with pytest.raises(WorkspaceInvalid) as caught:
        check_composition("pair", workspace=workspace, python=PYTHON)
    assert str(caught.value) == f"{own}: no `test_*.py` found; there must be at least one"


def test_server_that_does_not_start(workspace: Workspace) -> None:
    """What the server said is in the error."""
    main = workspace.root / "packages/api/src/stevedore_api/__main__.py"
    main.write_text("import sys\nsys.exit('I would rather not')\n")
    lock(workspace)
    with pytest.raises(CheckFailed) as caught:
        check_composition("pair", workspace=workspace, python=PYTHON)
    assert str(caught.value) == (
        "the server of the composition ended with 1; it said:\nI would rather not\n"
    )


@pytest.mark.parametrize("file", ["conftest.py", "pyproject.toml", "requirements/test.txt"])
def test_what_all_tests_take_from_the_root(workspace: Workspace, file: str) -> None:
    """Marks, fixtures, settings and tools decide what a test comes to: each of them counts."""
    before = running.test_inputs([], workspace)
    tiny.write(workspace.root / file, "# changed\n")
    assert running.test_inputs([], workspace) != before


def test_other_python(workspace: Workspace, tmp_path: Path) -> None:
    """Tests on another Python than the locked one would say nothing."""
    lock(workspace)
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3.12.1\n")
    other.chmod(0o755)
    with pytest.raises(CheckFailed) as caught:
        check_model("iris", workspace=workspace, python=other)
    assert str(caught.value) == "the tests run on Python 3.12.1, and the lock is for 3.11"


def test_other_than_locked(workspace: Workspace) -> None:
    """One distribution more, or another version, is noticed wherever it is."""
    locked = lock(workspace)
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    layout = make_layout(manifest, locked, store=workspace.store)
    refuse_other_than_locked(layout, locked)
    place = layout.model("iris", "1.0.0")
    tiny.write(place / "alpha-1.0.dist-info" / "RECORD", "")
    with pytest.raises(LayerRefused) as caught:
        refuse_other_than_locked(layout, locked)
    assert str(caught.value) == (
        f"{layout.root}: what is installed is not what is locked: "
        "`models/iris/1.0.0`: `alpha`: not in the lock, 1.0 is installed"
    )


def test_tests_passed(workspace: Workspace) -> None:
    """Nothing is left to do once each model and the composition passed; one byte changes that."""
    lock(workspace)
    steps = [(check_model, "iris"), (check_model, "digits"), (check_composition, "pair")]
    for check, name in steps:
        assert not composition_passed("pair", workspace=workspace)
        check(name, workspace=workspace, python=workspace_python(workspace))
    assert composition_passed("pair", workspace=workspace)
    with (workspace.root / "models/digits/tests/test_digits.py").open("a") as file:
        file.write("\n")
    assert not composition_passed("pair", workspace=workspace)


def workspace_python(workspace: Workspace) -> Path:
    """Return a Python of the version that serves here, with the pytest of this one."""
    program = find_interpreter("3.11", store=workspace.store).program
    script = workspace.root.parent / "python"
    paths = ":".join(path for path in sys.path if path.endswith("site-packages"))
    script.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{paths}" exec {program} "$@"\n')
    script.chmod(0o755)
    return script

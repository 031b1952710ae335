"""What already passed is remembered by content."""

import ast
import tomllib
from pathlib import Path

import pytest
import tiny

from stevedore_build.checks.passed import already_passed, content_of, key_of, record_passed
from stevedore_build.checks.running import composition_tests
from stevedore_build.store import Store
from stevedore_build.workspace import Workspace

HERE = Workspace(root=Path(__file__).parents[4])


def test_content(tmp_path: Path) -> None:
    """Bytes and names count; where they lie, and what running them leaves behind, do not."""
    for place in ("one", "two"):
        tiny.write(tmp_path / place / "tests" / "a.py", "1")
    for left_over in ("__pycache__", ".pytest_cache", ".ruff_cache"):
        tiny.write(tmp_path / "two" / "tests" / left_over / "a", "x")
    one, two = (tmp_path / place / "tests" for place in ("one", "two"))
    assert content_of(one) == content_of(two)
    (two / "a.py").write_text("2")
    assert content_of(one) != content_of(two)
    (two / "a.py").rename(two / "b.py")
    (two / "b.py").write_text("1")
    assert content_of(one) != content_of(two)


def test_content_of_files(tmp_path: Path) -> None:
    """A file that is not there is another content than an empty one."""
    file = tmp_path / "a.toml"
    absent = content_of(file)
    file.touch()
    assert content_of(file) != absent
    assert content_of(file, file) != content_of(file)


def test_content_of_places(tmp_path: Path) -> None:
    """It counts in which of several directories a file is."""
    tiny.write(tmp_path / "one" / "a.py", "1")
    one, two = tmp_path / "one", tmp_path / "two"
    two.mkdir()
    assert content_of(one, two) != content_of(two, one)


def test_key() -> None:
    """Every part counts, under its name; the order in which they are named does not."""
    assert key_of({"a": "1", "b": ["2"]}) == key_of({"b": ["2"], "a": "1"})
    assert key_of({"a": "1", "b": "2"}) != key_of({"a": "2", "b": "1"})
    assert key_of({"a": "12"}) != key_of({"a": ["1", "2"]})


def test_record(tmp_path: Path) -> None:
    """A pass is remembered for one check and one key."""
    store = Store(root=tmp_path)
    record_passed("model-iris", "k1", store=store)
    assert already_passed("model-iris", "k1", store=store)
    assert not already_passed("model-iris", "k2", store=store)
    assert not already_passed("model-digits", "k1", store=store)


def imported_by(file: Path) -> set[str]:
    """Return the modules that a file imports, by the first part of their names."""
    nodes = list(ast.walk(ast.parse(file.read_bytes())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("composition", HERE.compositions())
def test_what_recorded_tests_share_is_in_their_key(composition: str) -> None:
    """What tests of an image import lies beside them, or its change would not count.

    Tests that are marked `stress` are left out: of them nothing is recorded.
    """
    settings = tomllib.loads((HERE.root / "pyproject.toml").read_text("utf-8"))
    shared = settings["tool"]["pytest"]["ini_options"]["pythonpath"]
    anywhere = {file.stem for place in shared for file in (HERE.root / place).glob("*.py")}
    places = (HERE.root / "tests" / "image", *composition_tests(composition, HERE))
    files = [file for place in places for file in place.glob("*.py")]
    recorded = [file for file in files if "mark.stress" not in file.read_text("utf-8")]
    imported = set().union(*map(imported_by, recorded))
    assert imported & anywhere - {file.stem for file in files} == set()

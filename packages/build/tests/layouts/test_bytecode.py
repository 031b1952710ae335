"""Bytecode: the same bytes on every run, checked against nothing, with the image's paths."""

import importlib.util
import marshal
import shutil
from pathlib import Path, PurePosixPath
from types import CodeType

import pytest

from stevedore_build.layouts.bytecode import compile_bytecode
from stevedore_build.layouts.interpreters import Interpreter, find_interpreter
from stevedore_build.store import Store

TARGET = PurePosixPath("/opt/stevedore/own")


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    """The interpreter that compiles."""
    return find_interpreter("3.11", store=Store(root=tmp_path / "store"))


def compiled(directory: Path) -> dict[str, bytes]:
    """Return all bytecode below a directory."""
    return {
        file.relative_to(directory).as_posix(): file.read_bytes()
        for file in directory.rglob("*.pyc")
    }


def test_header_and_paths(tmp_path: Path, interpreter: Interpreter) -> None:
    """The flags say `unchecked-hash`, the code says where its source is inside an image."""
    place = tmp_path / "x"
    place.mkdir()
    (place / "alpha.py").write_text("def f():\n    return 1\n")
    compile_bytecode(place, target=TARGET, interpreter=interpreter)
    content = (place / "__pycache__" / "alpha.cpython-311.pyc").read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(content[4:8], "little") == 0b01
    code = marshal.loads(content[16:])  # noqa: S302 - written a moment ago
    assert isinstance(code, CodeType)
    assert code.co_filename == "/opt/stevedore/own/alpha.py"


def test_same_bytes(tmp_path: Path, interpreter: Interpreter) -> None:
    """Two directories with the same real sources get the same bytes."""
    import rich  # noqa: PLC0415 - a package of some size

    source = Path(rich.__file__).parent
    for name in ("one", "the other one"):
        shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        compile_bytecode(tmp_path / name, target=TARGET, interpreter=interpreter)
    one = compiled(tmp_path / "one")
    assert len(one) == len(list(source.rglob("*.py")))
    assert one == compiled(tmp_path / "the other one")


def test_left_as_they_are(tmp_path: Path, interpreter: Interpreter) -> None:
    """Tests of libraries and what does not compile stay sources, and stop nothing."""
    place = tmp_path / "tests" / "x"
    (place / "tests").mkdir(parents=True)
    (place / "tests" / "test_alpha.py").write_text("")
    (place / "template.py").write_text("{{ name }} = \n")
    (place / "zeta.py").write_text("")
    compile_bytecode(place, target=TARGET, interpreter=interpreter)
    assert list(compiled(place)) == ["__pycache__/zeta.cpython-311.pyc"]

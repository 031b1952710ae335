"""Which shared libraries are needed, and what is said if one is missing."""

import shutil
import sys
from pathlib import Path

import jiter
import pytest

from stevedore_build.errors import LayerRefused
from stevedore_build.layouts.shared_libraries import (
    host_libraries,
    needed_libraries,
    refuse_missing,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no ELF elsewhere")


def extension() -> Path:
    """Return a compiled module that is installed here."""
    (found,) = Path(jiter.__file__).parent.glob("*.so")
    return found


def test_needed(tmp_path: Path) -> None:
    """What a binary needs is found; what is no ELF, or no library, is passed over."""
    shutil.copy(extension(), tmp_path / "a.so")
    (tmp_path / "b.so").write_text("not ELF")
    (tmp_path / "c.py").write_text("")
    needed = needed_libraries(tmp_path)
    assert needed["libc.so.6"] == "a.so"
    assert set(needed.values()) == {"a.so"}


def test_held(tmp_path: Path) -> None:
    """A library that the layer brings itself is not needed from elsewhere."""
    shutil.copy(extension(), tmp_path / "a.so")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libc.so.6").touch()
    assert "libc.so.6" not in needed_libraries(tmp_path)


def test_host_has_its_libraries() -> None:
    """This machine lists the library that every program here needs."""
    assert "libc.so.6" in (host_libraries() or ())


def test_missing() -> None:
    """All missing libraries are named, with who needs them and the package that has them."""
    needed = {"libgomp.so.1": "lightgbm/lib.so", "libc.so.6": "a.so", "libodd.so.3": "b.so"}
    with pytest.raises(LayerRefused) as caught:
        refuse_missing("environments/default", needed, {"libc.so.6"})
    assert str(caught.value) == (
        "layer `environments/default` needs shared libraries that it does not hold and that this "
        "machine or base image does not provide: `libgomp.so.1`, which `lightgbm/lib.so` needs "
        "(Debian: package `libgomp1`); `libodd.so.3`, which `b.so` needs "
        "(Debian: find the package with `apt-file search`)"
    )


def test_nothing_missing() -> None:
    """A layer whose needs are met passes."""
    refuse_missing("environments/default", {"libc.so.6": "a.so"}, {"libc.so.6"})

"""Resolving against an index of tiny wheels."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import ResolutionFailed
from stevedore_build.locks.resolving import closure, resolve
from stevedore_core.requirements_files import Pin


def pin(wheel: Path, marker: str | None = None) -> Pin:
    """Return the pin that exactly this wheel fulfils."""
    name, version, *_ = wheel.name.split("-")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Pin(name=name, version=version, marker=marker, sha256s=(sha256,))


def test_pins_everything(index: Path) -> None:
    """What is needed indirectly is pinned too, with the hash of its wheel."""
    tiny.write_wheel(index, "alpha", "1.0")
    alpha = tiny.write_wheel(index, "alpha", "1.5", requires=["beta"])
    beta = tiny.write_wheel(index, "beta")
    assert resolve(["alpha>=1"], python="3.11") == (pin(alpha), pin(beta))


def test_markers(index: Path) -> None:
    """What only some platforms need is pinned for these; what none needs is not pinned."""
    beta = tiny.write_wheel(index, "beta")
    tiny.write_wheel(index, "gamma")
    needs = ["beta ; sys_platform == 'darwin'", "gamma ; sys_platform == 'win32'"]
    alpha = tiny.write_wheel(index, "alpha", requires=needs)
    expected = (pin(alpha), pin(beta, "sys_platform == 'darwin'"))
    assert resolve(["alpha"], python="3.11") == expected


def test_previous_pins_stay(index: Path) -> None:
    """A newer version alone is no reason to change a pin."""
    old = pin(tiny.write_wheel(index, "alpha", "1.0"))
    new = pin(tiny.write_wheel(index, "alpha", "2.0"))
    assert resolve(["alpha"], python="3.11", previous=[old]) == (old,)
    assert resolve(["alpha"], python="3.11") == (new,)
    assert resolve(["alpha>=2"], python="3.11", previous=[old]) == (new,)


def test_conflict(index: Path) -> None:
    """The resolver's explanation is passed on."""
    tiny.write_wheel(index, "alpha", "1.0")
    with pytest.raises(ResolutionFailed) as caught:
        resolve(["alpha<1", "alpha>=1"], python="3.11")
    assert "you require alpha<1 and alpha>=1" in " ".join(str(caught.value).split())


def test_sources_are_not_considered(index: Path) -> None:
    """Only wheels count, even where a source distribution says all there is to know."""
    said = b"Metadata-Version: 2.2\nName: alpha\nVersion: 1.0\n"
    project = b'[project]\nname = "alpha"\nversion = "1.0"\n'
    with tarfile.open(index / "alpha-1.0.tar.gz", "w:gz") as archive:
        for name, content in (("PKG-INFO", said), ("pyproject.toml", project)):
            entry = tarfile.TarInfo(f"alpha-1.0/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(ResolutionFailed, match="alpha"):
        resolve(["alpha"], python="3.11")


def test_own_name_from_an_index(index: Path) -> None:
    """No third-party distribution brings in one of ours."""
    tiny.write_wheel(index, "ml_py_stevedore_core", "9.0")
    tiny.write_wheel(index, "alpha", requires=["ml-py-stevedore-core"])
    with pytest.raises(ResolutionFailed) as caught:
        resolve(["alpha"], python="3.11")
    assert str(caught.value) == (
        "a third-party distribution requires `ml-py-stevedore-core`; that name belongs to this "
        "repository and is never taken from an index"
    )


def test_closure(index: Path) -> None:
    """Of the pins of an environment, one model's requirements need some."""
    tiny.write_wheel(index, "alpha", requires=["beta"])
    tiny.write_wheel(index, "beta", "1.0")
    tiny.write_wheel(index, "gamma")
    pins = resolve(["alpha", "beta", "gamma"], python="3.11")
    assert closure(["alpha"], pins, python="3.11") == ("alpha", "beta")
    assert closure([], pins, python="3.11") == ()

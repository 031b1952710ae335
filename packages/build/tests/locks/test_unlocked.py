"""What is not an exact version of a wheel with a hash does not get into a lock, nor out of one."""

import hashlib
import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from stevedore_build.errors import BuildError
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.locks.resolving import resolve
from stevedore_build.processes import run
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.errors import DocumentInvalid
from stevedore_core.manifest import Manifest
from stevedore_core.requirements_files import parse_pins

HASH = f"--hash=sha256:{'a' * 64}"

PINS = [">=1.0.0", "*", "1.0", "latest", "1.0.0rc1", "https://wheels.example/iris.whl"]
"""What a manifest may not pin a model to."""

DIRECT = [
    "alpha @ https://wheels.example/alpha-1.0-py3-none-any.whl",
    "alpha @ git+https://code.example/alpha",
    "alpha @ file:///alpha-1.0-py3-none-any.whl",
]
"""What a model may not require."""

UNRESOLVABLE = {
    "a version that is missing": "alpha==9",
    "a version that was yanked": "alpha>=1",
    "a source distribution": "source",
    "an address behind a wheel": "indirect",
    "a name of ours": "pretender",
}
"""What no resolution may come to."""

LINES = [
    "alpha",
    "alpha>=1",
    "alpha==1.*" + f" {HASH}",
    "alpha==1.0",
    f"alpha==1.0 --hash=md5:{'a' * 32}",
    f"alpha @ https://wheels.example/alpha-1.0-py3-none-any.whl {HASH}",
    "git+https://code.example/alpha",
    "--extra-index-url https://wheels.example/simple",
    "--index-url https://wheels.example/simple",
    "--find-links /tmp",
    "--pre",
    "-r other.txt",
    "-e .",
    "./alpha-1.0-py3-none-any.whl",
]
"""What no file of a lock may hold."""


@pytest.fixture
def simple(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of files: `alpha` 0.9 and a yanked 1.0, and what is not as it must be."""
    pages = tmp_path / "simple"
    tiny.write_wheel(pages / "alpha", "alpha", "0.9")
    tiny.write_wheel(pages / "alpha", "alpha", "1.0")
    tiny.write_wheel(pages / "indirect", "indirect", requires=[DIRECT[2]])
    tiny.write_wheel(pages / "pretender", "pretender", requires=["stevedore-model-iris"])
    tiny.write_wheel(pages / "stevedore-model-iris", "stevedore_model_iris", "9.0")
    write_source(pages / "source", "source")
    for place in pages.iterdir():
        links = [
            f'<a href="{file.name}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}"'
            f"{' data-yanked=broken' if file.name.startswith('alpha-1.0') else ''}>{file.name}</a>"
            for file in place.iterdir()
        ]
        (place / "index.html").write_text(f"<!DOCTYPE html><html>{''.join(links)}</html>")
    monkeypatch.delenv("UV_FIND_LINKS")
    monkeypatch.setenv("UV_DEFAULT_INDEX", pages.as_uri())
    assert index.is_dir()
    return pages


def write_source(place: Path, name: str) -> None:
    """Write a source distribution that says all there is to know without being built."""
    place.mkdir(parents=True)
    files = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "1.0"\n',
    }
    with tarfile.open(place / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{file}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


def refused(attempt: Callable[[], object]) -> bool:
    """Tell whether something is refused."""
    try:
        attempt()
    except (BuildError, DocumentInvalid):
        return True
    return False


def unresolvable() -> list[str]:
    """Return which of the requirements come to nothing."""
    return [
        case
        for case, requirement in UNRESOLVABLE.items()
        if refused(lambda: resolve([requirement], python="3.11"))  # noqa: B023 - called at once
    ]


def unreadable() -> list[str]:
    """Return which of the lines no lock may hold."""
    return [line for line in LINES if refused(lambda: parse_pins(line, file="default.txt"))]  # noqa: B023


def pinned(version: str) -> Manifest:
    """Return a manifest that pins iris to a version."""
    text = f'name = "pair"\nversion = "1.0.0"\npython = "3.11"\n[models]\niris = "{version}"\n'
    return Manifest.from_text(text, file="composition.toml")


def lock_with(requirement: str, workspace: Workspace) -> None:
    """Lock a composition whose iris requires something."""
    directory = tiny.add_model(workspace.root, "iris", requires=[requirement])
    with (directory / "pyproject.toml").open("a") as file:
        file.write("[tool.hatch.metadata]\nallow-direct-references = true\n")
    lock_manifest(pinned("1.0.0"), wheels_of(pinned("1.0.0"), workspace=workspace))


@pytest.mark.fault("G3")
@pytest.mark.usefixtures("simple")
def test_what_is_not_locked(workspace: Workspace, figure: Callable[[str], None]) -> None:
    """Nothing else is pinned, required, resolved to, or read from a lock."""
    pins = [version for version in PINS if refused(lambda: pinned(version))]  # noqa: B023
    direct = [line for line in DIRECT if refused(lambda: lock_with(line, workspace))]  # noqa: B023
    told = [pins, direct, unresolvable(), unreadable()]
    expected = [PINS, DIRECT, list(UNRESOLVABLE), LINES]
    figure(f"{sum(map(len, told))} of {sum(map(len, expected))} refused; a yanked pin is warned of")
    assert told == expected


@pytest.mark.fault("G3")
@pytest.mark.usefixtures("simple")
def test_yanked(capsys: pytest.CaptureFixture[str]) -> None:
    """A yanked version is passed over; who asks for it exactly gets it with a warning."""
    assert [pin.version for pin in resolve(["alpha"], python="3.11")] == ["0.9"]
    assert capsys.readouterr().err == ""
    assert [pin.version for pin in resolve(["alpha==1.0"], python="3.11")] == ["1.0"]
    assert capsys.readouterr().err == 'warning: `alpha==1.0` is yanked (reason: "broken")\n'


@pytest.mark.control("G3")
@pytest.mark.usefixtures("simple")
def test_a_resolver_that_may_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that is not told to take wheels only pins a source distribution."""

    def building(argv: list[str], **options: Any) -> str:
        return run([argument for argument in argv if argument != "--no-build"], **options)

    monkeypatch.setattr("stevedore_build.locks.resolving.run", building)
    assert unresolvable() == [case for case in UNRESOLVABLE if case != "a source distribution"]


@pytest.mark.control("G3")
def test_a_lock_that_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes any line for a pin refuses none."""
    anything = re.compile(r"(?P<name>.*)(?P<version>)(?P<marker>)(?P<hashes>)")
    monkeypatch.setattr("stevedore_core.requirements_files._PIN", anything)
    assert unreadable() == []

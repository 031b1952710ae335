"""Requirements in, hash-pinned distributions out. uv resolves; only `locking` calls this.

Nothing of ours is among the requirements, so that no index can provide a distribution of our name.
"""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from stevedore_build.errors import ResolutionFailed, ToolFailed
from stevedore_build.locks.markers import shorten
from stevedore_build.platforms import PLATFORMS
from stevedore_build.processes import run, uv_program
from stevedore_build.wheels.building import OwnWheel
from stevedore_build.workspace import is_own
from stevedore_core.requirements_files import Pin, format_pins, parse_pins

__all__ = ["closure", "explain", "resolve"]

_HASHES: Final = "--generate-hashes"
_WARNING: Final = re.compile(r"warning: (?!Requirements file ).*")
"""What uv warns of, but for files that are empty: here they often are."""


def resolve(
    requirements: Iterable[str], *, python: str, previous: Iterable[Pin] = ()
) -> tuple[Pin, ...]:
    """Pin everything that `requirements` need on every platform, preferring the `previous` pins.

    `python` is a minor version. Only wheels are considered. What uv warns of, such as a yanked pin,
    is passed on. Raises `ResolutionFailed` with uv's explanation.
    """
    text = _compile(requirements, python=python, preferred=previous, options=[_HASHES])
    pins = tuple(
        replace(pin, marker=marker)
        for pin in parse_pins(text, file="the resolver's answer")
        for applies, marker in [(True, None) if not pin.marker else shorten(pin.marker, python)]
        if applies
    )
    for pin in pins:
        if is_own(pin.name):
            raise ResolutionFailed(
                f"a third-party distribution requires `{pin.name}`; that name belongs to this "
                "repository and is never taken from an index"
            )
    return pins


def closure(requirements: Iterable[str], pins: tuple[Pin, ...], *, python: str) -> tuple[str, ...]:
    """Return which of `pins` the requirements need, by name.

    As every version is given, what uv remembers is as good as what an index says now, and faster.
    """
    try:
        text = _compile(requirements, python=python, constraints=pins, options=["--offline"])
    except ResolutionFailed:
        text = _compile(requirements, python=python, constraints=pins)
    names = {line.split("==", 1)[0].strip() for line in text.splitlines() if "==" in line}
    return tuple(sorted(names & {pin.name for pin in pins}))


def explain(wheels: Iterable[OwnWheel], *, python: str) -> str | None:
    """Say why some wheels of ours cannot share an environment, in lines; `None` if they can.

    uv gets the wheels themselves, so that its explanation names them. It finds none of them in an
    index: each is given by its file.
    """
    requirements = [f"{wheel.distribution} @ {wheel.path.as_uri()}" for wheel in wheels]
    try:
        _compile(requirements, python=python)
    except ResolutionFailed as error:
        said = " ".join(str(error).split())  # uv breaks lines wherever 80 columns end
        return said[max(said.find("Because "), 0) :].replace(". And because", ".\nAnd because")
    return None


def _compile(
    requirements: Iterable[str],
    *,
    python: str,
    preferred: Iterable[Pin] = (),
    constraints: Iterable[Pin] = (),
    options: Sequence[str] = (),
) -> str:
    """Run the resolver in a directory of its own: no file of this repository steers it."""
    bare = (replace(pin, sha256s=()) for pin in constraints)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "pyproject.toml").write_text(_settings(python), "utf-8")
        (place / "in.txt").write_text("".join(f"{line}\n" for line in requirements), "utf-8")
        (place / "constraints.txt").write_text(format_pins(bare), "utf-8")
        (place / "out.txt").write_text(format_pins(preferred), "utf-8")
        command = [uv_program(), "pip", "compile", "in.txt", "--constraints", "constraints.txt"]
        command += ["--output-file", "out.txt", "--universal", "--python-version", python]
        command += ["--no-build", "--no-annotate", "--no-header", *options]
        try:
            # Only what has hashes is locked, so other answers have nothing to warn of.
            run(command, cwd=place, shown=_WARNING if _HASHES in options else None)
        except ToolFailed as error:
            raise ResolutionFailed(str(error)) from None
        return (place / "out.txt").read_text(encoding="utf-8")


def _settings(python: str) -> str:
    environments = [
        f"\"sys_platform == '{platform.system}' and platform_machine == '{platform.machine}'"
        f" and python_version == '{python}'\""
        for platform in PLATFORMS
    ]
    return f"[tool.uv]\nenvironments = [{', '.join(environments)}]\n"

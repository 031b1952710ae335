"""Core and api as a workspace without `packages/` has them: wheels that it pins with their hashes.

`requirements/stevedore.txt` says which, and they lie in `requirements/wheels` or come from the
package index that uv uses. `pins` and `scaffolds` call this.
"""

import hashlib
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from stevedore_build.console import step
from stevedore_build.digests import sha256_of
from stevedore_build.errors import IndexFailed, ToolFailed, WorkspaceInvalid
from stevedore_build.processes import run, uv_program
from stevedore_build.wheels.building import OwnWheel, take_shared_wheel, taken_wheel
from stevedore_build.wheels.index import get
from stevedore_build.workspace import OWN_PINS, OWN_PREFIX, Workspace
from stevedore_core.requirements_files import Pin, parse_pins

__all__ = ["OWN_WHEELS", "pinned_wheels"]

OWN_WHEELS: Final = Path("requirements", "wheels")
"""Where a workspace keeps the wheels that it pins, as long as no index has them."""


def pinned_wheels(workspace: Workspace) -> tuple[OwnWheel, OwnWheel]:
    """Return the wheels of core and api that a workspace pins.

    Raises `WorkspaceInvalid` where it pins none or holds another, `IndexFailed` without an answer.
    """
    file = workspace.root / OWN_PINS
    found = parse_pins(file.read_text(encoding="utf-8"), file=str(file))
    pins = {pin.name: pin for pin in found}
    return _wheel("core", pins, workspace), _wheel("api", pins, workspace)


def _wheel(folder: str, pins: Mapping[str, Pin], workspace: Workspace) -> OwnWheel:
    pin = pins.get(OWN_PREFIX + folder)
    if pin is None:
        raise WorkspaceInvalid(
            f"{workspace.root / OWN_PINS}: expected a pin of `{OWN_PREFIX}{folder}`, found none; "
            f"name it in `{OWN_PINS.with_suffix('.in').as_posix()}` and run `make lock-tools`"
        )
    for sha256 in pin.sha256s:
        if wheel := taken_wheel(sha256, store=workspace.store):
            return wheel
    with tempfile.TemporaryDirectory() as scratch:
        kept = workspace.root / OWN_WHEELS
        file = _kept(pin, kept) if kept.is_dir() else _downloaded(pin, Path(scratch))
        return take_shared_wheel(file, folder=folder, version=pin.version, store=workspace.store)


def _kept(pin: Pin, directory: Path) -> Path:
    """Return the wheel in a directory that has a hash of the pin."""
    for file in sorted(directory.glob("*.whl")):
        if sha256_of(file) in pin.sha256s:
            return file
    raise WorkspaceInvalid(
        f"{directory}: no wheel in it has the sha256 that `{OWN_PINS.as_posix()}` pins for "
        f"`{pin.name}` {pin.version}; put it there, or run `make lock-tools` to pin what is there"
    )


def _downloaded(pin: Pin, scratch: Path) -> Path:
    """Return the pinned wheel from the index that uv is set up for."""
    (scratch / "in.txt").write_text(pin.line(), encoding="utf-8")
    command = [uv_program(), "pip", "compile", "in.txt", "--quiet", "--no-deps", "--universal"]
    command += ["--format", "pylock.toml", "--output-file", "pylock.toml"]
    with step(f"Fetching `{pin.name}` {pin.version}"):
        try:
            run(command, cwd=scratch)
        except ToolFailed as error:
            raise IndexFailed(f"`{pin.name}` {pin.version} cannot be found: {error}") from None
        for url in _addresses(scratch / "pylock.toml"):
            content = get(url)
            if content is None:
                raise IndexFailed(
                    f"`{pin.name}` {pin.version}: an index lists {url}, and it is not there; run "
                    "`make lock-tools`, and review what it changes"
                )
            if hashlib.sha256(content).hexdigest() in pin.sha256s:
                file = scratch / unquote(urlsplit(url).path.rsplit("/", 1)[-1])
                file.write_bytes(content)
                return file
    raise IndexFailed(
        f"no index has a wheel of `{pin.name}` {pin.version} with the sha256 that "
        f"`{OWN_PINS.as_posix()}` pins; run `make lock-tools`, and review what it changes"
    )


def _addresses(pylock: Path) -> list[str]:
    """Return where the wheels of the one locked distribution are."""
    document = tomllib.loads(pylock.read_text(encoding="utf-8"))
    (package,) = document["packages"]
    return [wheel["url"] for wheel in package.get("wheels", ()) if "url" in wheel]

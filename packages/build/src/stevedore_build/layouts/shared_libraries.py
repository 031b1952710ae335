"""Which shared libraries a layer needs that it does not hold, and who provides them.

A missing one shows only when a model is loaded, on another machine; `layers` asks beforehand.
"""

import shutil
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from stevedore_build.errors import LayerRefused
from stevedore_build.processes import run

__all__ = ["host_libraries", "needed_libraries", "refuse_missing"]

_DEBIAN: Final = {
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libatomic.so.1": "libatomic1",
    "libgcc_s.so.1": "libgcc-s1",
    "libgfortran.so.5": "libgfortran5",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libopenblas.so.0": "libopenblas0",
    "libquadmath.so.0": "libquadmath0",
    "libssl.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}


def needed_libraries(directory: Path) -> Mapping[str, str]:
    """Return the libraries that files below `directory` need and none of them is.

    Maps a library's name to one file that needs it, the first by path.
    """
    binaries = sorted(
        path for path in directory.rglob("*") if ".so" in path.suffixes and path.is_file()
    )
    held = {path.name for path in binaries}
    needed: dict[str, str] = {}
    for path in binaries:
        for library in _needed(path):
            if library not in held:
                needed.setdefault(library, str(path.relative_to(directory)))
    return needed


def refuse_missing(layer: str, needed: Mapping[str, str], provided: AbstractSet[str]) -> None:
    """Raise `LayerRefused` for every needed library that nobody provides."""
    missing = [
        f"`{library}`, which `{needed[library]}` needs ({_package(library)})"
        for library in sorted(needed)
        if library not in provided
    ]
    if missing:
        raise LayerRefused(
            f"layer `{layer}` needs shared libraries that it does not hold and that this machine "
            f"or base image does not provide: {'; '.join(missing)}"
        )


def host_libraries() -> AbstractSet[str] | None:
    """Return the shared libraries of this machine; `None` where they cannot be listed."""
    ldconfig = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if sys.platform != "linux" or ldconfig is None:
        return None
    lines = run([ldconfig, "-p"]).splitlines()
    return frozenset(line.split()[0] for line in lines if "=>" in line)


def _needed(path: Path) -> tuple[str, ...]:
    # Imported here, as most commands find all layers made and never get this far.
    from elftools.common.exceptions import ELFError  # noqa: PLC0415
    from elftools.elf.dynamic import DynamicSection  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    with path.open("rb") as stream:
        try:
            section = ELFFile(stream).get_section_by_name(".dynamic")
        except ELFError:
            return ()
        if not isinstance(section, DynamicSection):
            return ()
        return tuple(str(vars(tag)["needed"]) for tag in section.iter_tags("DT_NEEDED"))


def _package(library: str) -> str:
    package = _DEBIAN.get(library)
    if package is None:
        return "Debian: find the package with `apt-file search`"
    return f"Debian: package `{package}`"

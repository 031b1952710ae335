"""Which kind of processor a program or a library is for, as its own header says.

Called by `images.rootfs` for a base and by `layers`: a layer can be made on another kind of
machine, and a wheel may hold something else than its name says.
"""

from pathlib import Path
from typing import Final

from stevedore_build.errors import LayerRefused

__all__ = ["HEADER_BYTES", "machine_of", "refuse_other_machines"]

HEADER_BYTES: Final = 20
"""How much of a file tells for which processor it is."""

_MACHINES: Final = {b"\x3e\x00": "amd64", b"\xb7\x00": "arm64"}
"""`e_machine` of an ELF header, as its two little-endian bytes: what engines call the machine."""

_SHOWN: Final = 10


def machine_of(header: bytes) -> str | None:
    """Return which machine the file that begins like this is for, None if it is no program."""
    if not header.startswith(b"\x7fELF"):
        return None
    return _MACHINES.get(header[18:HEADER_BYTES], "another machine")


def refuse_other_machines(layer: str, directory: Path, machine: str) -> None:
    """Raise `LayerRefused` where a program or library below `directory` is not for `machine`."""
    others = [
        f"`{path.relative_to(directory)}` is for {found}"
        for path in sorted(directory.rglob("*"))
        if path.is_file() and (found := _machine(path)) not in (None, machine)
    ]
    if others:
        raise LayerRefused(
            f"layer `{layer}` is made for {machine}, and {len(others)} of its files are not: "
            f"{', '.join(others[:_SHOWN])}; require a version whose wheel for {machine} is right"
        )


def _machine(path: Path) -> str | None:
    with path.open("rb") as stream:
        return machine_of(stream.read(HEADER_BYTES))

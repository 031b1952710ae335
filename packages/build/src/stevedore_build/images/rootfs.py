"""What the file system of an image offers: Python, C library, architecture, shared libraries.

Called by `bases` before a layer is built. It reads files; nothing of the image runs.
"""

import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stevedore_build.layouts.machines import HEADER_BYTES, machine_of

__all__ = ["RootFilesystem"]

_PYTHON = re.compile(r"(?:usr/)?(?:local/)?bin/python(3\.[0-9]+)")
_LIBRARY_DIRECTORY = re.compile(r"(?:usr/)?(?:local/)?lib(?:64)?(?:/[a-z0-9_]+-linux-[a-z0-9]+)?")
_LIBRARY = re.compile(r".+\.so(?:\.[0-9.]+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class RootFilesystem:
    """The facts about one image that decide whether layers can stand on it.

    `pythons` are minors such as `3.11`. `architecture` is that of the Python, in the engines'
    words, or None without a Python. `libraries` are the names that the dynamic loader finds.
    """

    pythons: tuple[str, ...]
    architecture: str | None
    libraries: tuple[str, ...]

    @classmethod
    def read(cls, tar: Path) -> "RootFilesystem":
        """Return the facts about the file system in `tar`."""
        pythons: dict[str, str | None] = {}
        libraries: set[str] = set()
        with tarfile.open(tar) as archive:
            for entry in archive:
                name = PurePosixPath(entry.name.removeprefix("./"))
                found = _PYTHON.fullmatch(f"{name}")
                if found and entry.isreg():
                    content = archive.extractfile(entry)
                    header = content.read(HEADER_BYTES) if content else b""
                    pythons[found[1]] = machine_of(header)
                elif _LIBRARY_DIRECTORY.fullmatch(f"{name.parent}") and not entry.isdir():
                    libraries |= {name.name} if _LIBRARY.fullmatch(name.name) else set()
        machines = {machine for machine in pythons.values() if machine}
        return cls(
            pythons=tuple(sorted(pythons, key=_by_minor)),
            architecture=machines.pop() if len(machines) == 1 else None,
            libraries=tuple(sorted(libraries)),
        )

    def problems(self, *, python: str, architecture: str) -> Iterable[str]:
        """Yield a sentence for each reason why layers for `python` cannot run here."""
        if python not in self.pythons:
            has = " and ".join(f"`python{minor}`" for minor in self.pythons) or "no Python"
            yield f"expected `python{python}` in /usr/local/bin or /usr/bin, found {has}"
        if "libc.so.6" not in self.libraries:
            musl = [name for name in self.libraries if name.startswith("ld-musl")]
            found = f"musl (`{musl[0]}`)" if musl else "none"
            yield f"expected glibc (`libc.so.6`), which the locked wheels need, found {found}"
        if self.architecture not in (None, architecture):
            yield f"expected programs for {architecture}, found {self.architecture}"


def _by_minor(python: str) -> int:
    return int(python.partition(".")[2])

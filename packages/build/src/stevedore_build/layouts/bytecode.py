"""Compiling a layer to bytecode, so that a read-only container starts as fast as a warm one.

The files are `unchecked-hash`: Python looks neither at dates nor at sources. They carry the paths
that the sources have inside an image. The same sources give the same bytes.
"""

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final

from stevedore_build.layouts.interpreters import Interpreter
from stevedore_build.processes import run

__all__ = ["compile_bytecode"]

_SHARES: Final = 8
"""Fixed, and each compiled by a process of its own: what a process compiled before can change the
bytes that it writes next, so neither chance nor the number of cores may deal the files out."""

_DEVELOPERS: Final = frozenset({"test", "tests"})
"""Directories of sources that only a library's own developers import: they stay as they are."""


def compile_bytecode(directory: Path, *, target: PurePosixPath, interpreter: Interpreter) -> None:
    """Compile everything below `directory` that a server may import.

    A source that does not compile, such as a template or code for a newer Python, stays as it is:
    Python says so if it is ever imported.
    """
    sources = sorted(
        str(source)
        for source in directory.rglob("*.py")
        if _DEVELOPERS.isdisjoint(source.relative_to(directory).parts)
    )
    shares = [share for start in range(_SHARES) if (share := sources[start::_SHARES])]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(lambda share: _compile(share, directory, target, interpreter), shares))


def _compile(
    sources: Sequence[str], directory: Path, target: PurePosixPath, interpreter: Interpreter
) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write("".join(f"{source}\n" for source in sources))
        listed.flush()
        command = [str(interpreter.program), "-m", "compileall", "-q", "-f", "-i", listed.name]
        command += ["--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p"]
        environment = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}
        run([*command, str(target)], env=environment, accepted={0, 1})

"""Running the programs that this package drives: git, uv, Python. Every start is here."""

import re
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

import uv

from stevedore_build.console import notice
from stevedore_build.errors import ToolFailed

__all__ = ["git", "run", "uv_program"]

_FINDING = threading.Lock()
"""uv looks itself up through `sysconfig`, whose first use is not safe in threads."""


def run(  # noqa: PLR0913 - each is a part of how a program is run
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    accepted: AbstractSet[int] = frozenset({0}),
    shown: re.Pattern[str] | None = None,
    errors: str = "strict",
) -> str:
    """Run a program to its end and return what it printed.

    Lines of its error output that fit `shown` are for people, even if it succeeds.
    Raises `ToolFailed` with what it said if it cannot be started or its exit code is not accepted.
    """
    name = Path(argv[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - a list, never a shell
            argv, cwd=cwd, env=env, check=False, capture_output=True, text=True, errors=errors
        )
    except OSError as error:
        raise ToolFailed(f"`{name}` cannot be started: {error.strerror}") from error
    if done.returncode not in accepted:
        said = (done.stderr.strip() or done.stdout.strip()) or "it said nothing"
        raise ToolFailed(f"`{name}` ended with {done.returncode}:\n{said}")
    if shown is not None:
        for line in filter(shown.fullmatch, done.stderr.splitlines()):
            notice(line)
    return done.stdout


def git(*arguments: str, cwd: Path, errors: str = "strict") -> str:
    """Run git in a directory of the repository; `errors` says what to do where it is no text."""
    program = shutil.which("git")
    if program is None:
        raise ToolFailed("`git` is not installed; packages are built from the files it tracks")
    return run([program, *arguments], cwd=cwd, errors=errors)


def uv_program() -> str:
    """Return the path of uv, which is one of this package's dependencies."""
    with _FINDING:
        return _find_uv()


@cache
def _find_uv() -> str:
    return str(uv.find_uv_bin())

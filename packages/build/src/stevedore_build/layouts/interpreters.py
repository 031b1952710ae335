"""The Python interpreters that compile bytecode and run a layout on this machine."""

from dataclasses import dataclass
from pathlib import Path

from stevedore_build.console import notice
from stevedore_build.errors import ToolFailed
from stevedore_build.processes import run, uv_program
from stevedore_build.store import Store

__all__ = ["Interpreter", "find_interpreter", "is_here"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python whose site-packages are empty: what is imported comes from a layout, or not."""

    program: Path
    version: str
    """The full version, such as `3.11.7`."""


def find_interpreter(minor: str, *, store: Store) -> Interpreter:
    """Return an interpreter of a minor version such as `3.11`.

    It lives in a virtual environment without any distribution, so that nothing installed on the
    machine hides what a layout lacks. Raises `ToolFailed` where there is no such Python.
    """
    environment = store.pythons / minor
    program = environment / "bin" / "python"
    if not program.exists():
        found = _find(minor)
        # One that is broken is replaced; another process may be making the first one.
        put = store.replacing if environment.exists() else store.adding
        with put(environment) as draft:
            uv = [uv_program(), "venv", "--quiet", "--no-project", "--relocatable"]
            run([*uv, "--python", found, str(draft)])
    settings = (environment / "pyvenv.cfg").read_text(encoding="utf-8")
    entries = dict(line.split(" = ", 1) for line in settings.splitlines() if " = " in line)
    return Interpreter(program=program, version=entries["version_info"])


def is_here(minor: str) -> bool:
    """Tell whether this machine has a Python of a minor version, without fetching one."""
    try:
        _found(minor)
    except ToolFailed:
        return False
    return True


def _found(minor: str) -> str:
    find = [uv_program(), "python", "find", "--no-python-downloads"]
    return run([*find, "--no-project", "--system", minor]).strip()


def _find(minor: str) -> str:
    try:
        return _found(minor)
    except ToolFailed:
        notice(f"Python {minor} is not on this machine; uv fetches one for this user")
    try:
        run([uv_program(), "python", "install", "--no-bin", minor])
        return _found(minor)
    except ToolFailed as error:
        raise ToolFailed(
            f"Python {minor} is not on this machine and could not be fetched; install it "
            f"(Debian: `apt-get install python{minor} python{minor}-venv`)"
        ) from error

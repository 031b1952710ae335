"""`ml-stevedore`: the commands that make and nox call. Prints results, and errors in one line."""

import argparse
import errno
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stevedore_build.cli import (
    anywhere,
    checks,
    images,
    layouts,
    locks,
    originals,
    releases,
    scaffolds,
    schemas,
    supply,
    weights,
)
from stevedore_build.cli.completion import offer_completions
from stevedore_build.drafts import draft_directory
from stevedore_build.workspace import Workspace
from stevedore_core.errors import StevedoreError

__all__ = ["main"]

_GROUPS: Final = (
    locks,
    layouts,
    checks,
    images,
    schemas,
    releases,
    supply,
    weights,
    anywhere,
    originals,
    scaffolds,
)
"""Where the commands are, in the order in which `--help` lists them."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_ROOM_NEEDED: Final = (
    "free some where the repository lies, for instance by removing `.stevedore`, where everything "
    "is made again when needed, and run this again"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code. What stands after `--` is for pytest."""
    mine, options = _split(sys.argv[1:] if arguments is None else list(arguments))
    parser = _parser()
    offer_completions(parser)
    parsed = parser.parse_args(mine)
    parsed.options = options
    # What is being tidied up after Ctrl-C is tidied up after SIGTERM too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _run_command(parsed)
    except StevedoreError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        if error.errno not in _FULL:
            raise
        print(f"error: {error.strerror}: {_ROOM_NEEDED}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run_command(parsed: argparse.Namespace) -> None:
    if "anywhere" in parsed:
        parsed.anywhere(parsed)
        return
    workspace = Workspace.around(Path.cwd())
    with _temporary_files(workspace):
        parsed.command(workspace, parsed)


@contextmanager
def _temporary_files(workspace: Workspace) -> Iterator[None]:
    """Have temporary files in the store, where the next command removes those of a killed one."""
    with draft_directory(workspace.store.drafts) as directory:
        before, tempfile.tempdir = tempfile.tempdir, str(directory)
        try:
            yield
        finally:
            tempfile.tempdir = before


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ml-stevedore", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for group in _GROUPS:
        group.add_commands(commands)
    return parser

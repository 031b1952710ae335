"""The commands of `ml-stevedore` that also work outside of a workspace: `init`."""

import argparse
from pathlib import Path

from stevedore_build.new_workspace import init_workspace

__all__ = ["add_commands"]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to those of the program."""
    command = commands.add_parser("init", help="write a workspace with an example into a directory")
    command.add_argument("directory", type=Path, nargs="?", default=Path(), help="by default, here")
    command.add_argument("--wheels", type=Path, help="a directory with wheels of core, api, build")
    command.add_argument("--no-lock", action="store_true", help="install and lock nothing yet")
    command.set_defaults(anywhere=_init)


def _init(parsed: argparse.Namespace) -> None:
    workspace = init_workspace(parsed.directory, wheels=parsed.wheels, lock=not parsed.no_lock)
    _say(f"{workspace.root} holds the model `line` and the composition `example`. Next:")
    if parsed.directory != Path():
        _say(f"  cd {parsed.directory}")
    _say("  make serve\n  make test")


def _say(text: str) -> None:
    print(text)  # noqa: T201

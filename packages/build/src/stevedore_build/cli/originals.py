"""The command of `ml-stevedore` that imports an original `model.py`. Called by make."""

import argparse
from pathlib import Path

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.console import notice, say
from stevedore_build.originals.importing import import_originals
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the command to those of the program."""
    title = "run an original model.py, and make a package of each predictor"
    command = add_command(commands, _import_model, title, of="")
    command.add_argument("file", type=Path, help="a file with a list `predictors`")
    command.add_argument("--name", default="", help="what to call the only predictor")
    command.add_argument(
        "--python", type=Path, default=Path("python3"), help="a Python that has what it imports"
    )
    command.add_argument(
        "--trust", default="", help="types that its weights may hold, separated by spaces"
    )


def _import_model(workspace: Workspace, parsed: argparse.Namespace) -> None:
    names = import_originals(
        parsed.file,
        python=parsed.python,
        workspace=workspace,
        name=parsed.name,
        trusted=parsed.trust.split(),
    )
    for name in names:
        notice(f"`models/{name}` holds the imported model; its own tests tell what is to be mended")
    say(" ".join(names))

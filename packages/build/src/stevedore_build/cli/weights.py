"""The commands of `ml-stevedore` for weights that are too large for a package."""

import argparse
from pathlib import Path

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.console import say
from stevedore_build.layouts.serving import fresh
from stevedore_build.weights.declaring import declare
from stevedore_build.weights.fetched import fetch_weights, weights_of
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    title = "record a file of weights that is fetched, not packaged"
    command = add_command(commands, _declare_weights, title, of="")
    command.add_argument("model", help="the model")
    command.add_argument("file", type=Path, help="the file, as it is here")
    command.add_argument("--url", help="where others fetch it from; else from where it lies")

    title = "fetch the weights of a composition ahead, print where they are"
    add_command(commands, _fetch_weights, title)


def _declare_weights(workspace: Workspace, parsed: argparse.Namespace) -> None:
    record = declare(parsed.model, parsed.file, url=parsed.url, workspace=workspace)
    say(str(record.relative_to(workspace.root)))


def _fetch_weights(workspace: Workspace, parsed: argparse.Namespace) -> None:
    _, lock = fresh(parsed.name, workspace=workspace)
    store = workspace.store
    for path in fetch_weights(weights_of(lock, store=store), store=store):
        say(str(path))

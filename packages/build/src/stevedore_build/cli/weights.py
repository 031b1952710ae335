"""The commands of `ml-stevedore` for weights that are too large for a package."""

import argparse
from pathlib import Path

from stevedore_build.console import say
from stevedore_build.layouts.serving import fresh
from stevedore_build.weights.declaring import declare
from stevedore_build.weights.fetched import fetch_weights, weights_of
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to those of the program."""
    command = commands.add_parser(
        "declare-weights", help="record a file of weights that is fetched, not packaged"
    )
    command.add_argument("model", help="the model")
    command.add_argument("file", type=Path, help="the file, as it is here")
    command.add_argument("--url", help="where others fetch it from; else from where it lies")
    command.set_defaults(command=_declare)

    command = commands.add_parser(
        "fetch-weights", help="fetch the weights of a composition ahead, print where they are"
    )
    command.add_argument("name", help="the composition")
    command.set_defaults(command=_fetch)


def _declare(workspace: Workspace, parsed: argparse.Namespace) -> None:
    record = declare(parsed.model, parsed.file, url=parsed.url, workspace=workspace)
    say(str(record.relative_to(workspace.root)))


def _fetch(workspace: Workspace, parsed: argparse.Namespace) -> None:
    _, lock = fresh(parsed.name, workspace=workspace)
    store = workspace.store
    for path in fetch_weights(weights_of(lock, store=store), store=store):
        say(str(path))

"""The commands of `ml-stevedore` that test, or say what is to be tested. Called by make and nox."""

import argparse
from pathlib import Path

from stevedore_build.checks.affected import affected_since
from stevedore_build.checks.running import check_composition, check_model
from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.console import say
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    title = "print what changed since a commit, and what ships it"
    command = add_command(commands, _affected, title, of="")
    command.add_argument("--since", required=True, help="a commit, branch or tag")
    command.add_argument("--json", action="store_true", help="one line of JSON")

    title = "test one model alone; what follows `--` goes to pytest"
    command = add_command(commands, _test_model, title, of="the model")
    command.add_argument("--python", type=Path, required=True, help="where the tests run")

    command = add_command(commands, _test_composition, "test a composition over HTTP; likewise")
    command.add_argument("--python", type=Path, required=True, help="where the tests run")


def _affected(workspace: Workspace, parsed: argparse.Namespace) -> None:
    found = affected_since(parsed.since, workspace=workspace)
    if parsed.json:
        say(found.to_json())
        return
    say(f"models: {', '.join(found.models) or 'none'}")
    say(f"compositions: {', '.join(found.compositions) or 'none'}")


def _test_model(workspace: Workspace, parsed: argparse.Namespace) -> None:
    python = parsed.python.absolute()
    check_model(parsed.name, workspace=workspace, python=python, options=parsed.options)


def _test_composition(workspace: Workspace, parsed: argparse.Namespace) -> None:
    python = parsed.python.absolute()
    check_composition(parsed.name, workspace=workspace, python=python, options=parsed.options)

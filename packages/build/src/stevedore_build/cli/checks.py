"""The commands of `ml-stevedore` that test, or say what is to be tested. Called by make and nox."""

import argparse
from pathlib import Path

from stevedore_build.checks.affected import affected_since
from stevedore_build.checks.running import check_composition, check_model
from stevedore_build.console import say
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to those of the program."""
    command = commands.add_parser(
        "affected", help="print what changed since a commit, and what ships it"
    )
    command.add_argument("--since", required=True, help="a commit, branch or tag")
    command.add_argument("--json", action="store_true", help="one line of JSON")
    command.set_defaults(command=_affected)

    for check, kind, tested in (
        (check_model, "model", "test one model alone; what follows `--` goes to pytest"),
        (check_composition, "composition", "test a composition over HTTP; likewise"),
    ):
        command = commands.add_parser(f"test-{kind}", help=tested)
        command.add_argument("name", help=f"the {kind}")
        command.add_argument("--python", type=Path, required=True, help="where the tests run")
        command.set_defaults(command=_check_with, check=check)


def _affected(workspace: Workspace, parsed: argparse.Namespace) -> None:
    found = affected_since(parsed.since, workspace=workspace)
    if parsed.json:
        say(found.to_json())
        return
    say(f"models: {', '.join(found.models) or 'none'}")
    say(f"compositions: {', '.join(found.compositions) or 'none'}")


def _check_with(workspace: Workspace, parsed: argparse.Namespace) -> None:
    python = parsed.python.absolute()
    parsed.check(parsed.name, workspace=workspace, python=python, options=parsed.options)

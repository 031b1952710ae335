"""The commands of `ml-stevedore` that make something new. Called by make."""

import argparse
import sys
from pathlib import Path

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.console import notice, say
from stevedore_build.errors import ScaffoldRefused
from stevedore_build.scaffolds.compositions import new_composition
from stevedore_build.scaffolds.fitted_files import made_up, read_fitted
from stevedore_build.scaffolds.frameworks import Framework, find_framework, frameworks
from stevedore_build.scaffolds.models import new_model, refuse_taken, train_model
from stevedore_build.scaffolds.updates import update_model
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    title = "make a model package that passes its tests"
    command = add_command(commands, _new_model, title, of="the model")
    command.add_argument("--framework", default="", help=f"one of {', '.join(frameworks())}")
    command.add_argument(
        "--task", choices=("label", "number"), default="label", help="what a prediction is"
    )
    command.add_argument("--from", dest="file", type=Path, help="the file of a fitted model")
    command.add_argument(
        "--trust", default="", help="types that such a file may hold, separated by spaces"
    )

    title = "make a composition of models as the workspace has them, and lock it"
    command = add_command(commands, _new_composition, title)
    command.add_argument("--models", default="", help="their names, separated by spaces")

    title = "merge a newer template into a model package that was made from it"
    add_command(commands, _update_model, title, of="the model")

    command = add_command(commands, _train_model, "run a model's train.py", of="the model")
    command.add_argument(
        "--from", dest="file", type=Path, help="weights that were trained elsewhere"
    )


def _new_model(workspace: Workspace, parsed: argparse.Namespace) -> None:
    refuse_taken(parsed.name, parent=workspace.root / "models")
    if parsed.file is None:
        facts = made_up(_chosen(parsed.framework), task=parsed.task)
    else:
        trusted = parsed.trust.split()
        facts = read_fitted(
            parsed.file, workspace=workspace, framework=parsed.framework, trusted=trusted
        )
    place = new_model(parsed.name, facts, workspace=workspace, file=parsed.file)
    say(str(place.relative_to(workspace.root)))


def _new_composition(workspace: Workspace, parsed: argparse.Namespace) -> None:
    models = parsed.models.split()
    place, verdict = new_composition(parsed.name, models, workspace=workspace)
    say(verdict)
    say(str(place.relative_to(workspace.root)))


def _update_model(workspace: Workspace, parsed: argparse.Namespace) -> None:
    update = update_model(parsed.name, workspace=workspace)
    for file in update.changed:
        say(f"{file}: conflicts" if file in update.conflicts else file)
    if not update.changed:
        notice(f"`models/{parsed.name}` is what the template makes now, but for its author's edits")


def _train_model(workspace: Workspace, parsed: argparse.Namespace) -> None:
    train_model(workspace.model(parsed.name).directory, workspace=workspace, file=parsed.file)


def _chosen(name: str) -> Framework:
    """Return the framework of that name; without one, ask whoever sits at the terminal."""
    if name:
        return find_framework(name)
    listed = ", ".join(f"`{framework}`" for framework in frameworks())
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ScaffoldRefused(f"`FRAMEWORK`: expected one of {listed}, found nothing")
    print(f"Framework ({', '.join(frameworks())}): ", end="", file=sys.stderr)  # noqa: T201
    return find_framework(input().strip())

"""The commands of `ml-stevedore` that release: called by make, through nox where tests run."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from stevedore_build.console import notice
from stevedore_build.releases.models import release_model
from stevedore_build.versions import PARTS
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to those of the program."""
    command = commands.add_parser("release-model", help="release a model: its wheel and a tag")
    command.add_argument("name", help="the model")
    command.add_argument("--part", choices=PARTS, help="raise this part of the version first")
    command.add_argument("--python", type=Path, required=True, help="where the tests run")
    command.set_defaults(command=_release_model)


def _release_model(workspace: Workspace, parsed: argparse.Namespace) -> None:
    release = release_model(
        parsed.name,
        workspace=workspace,
        python=parsed.python.absolute(),
        today=datetime.now(UTC).date(),
        part=parsed.part,
    )
    tag = release.tag
    if release.is_new:
        notice(f"To publish it: `git push --atomic origin HEAD {tag.tag}`")
    else:
        notice(f"`{tag.name}` {tag.version} was released before with the same content")
    print(tag.tag, release.wheel.relative_to(workspace.root))  # noqa: T201

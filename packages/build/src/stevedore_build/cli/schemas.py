"""The command of `ml-stevedore` that writes schema files from types: called by make."""

import argparse

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.console import notice, say
from stevedore_build.errors import CheckFailed
from stevedore_build.schemas.files import SchemaFile, schema_files
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the command to those of the program."""
    title = "write a model's schema files from its types"
    command = add_command(commands, _schemas, title, of="the model")
    command.add_argument(
        "--check", action="store_true", help="write nothing, fail where a file says something else"
    )


def _schemas(workspace: Workspace, parsed: argparse.Namespace) -> None:
    files = schema_files(parsed.name, workspace=workspace)
    stale = [file for file in files if not file.is_current]
    if parsed.check and stale:
        said = "\n".join(
            _described(file, "is not what its type gives", "is no JSON file yet") for file in stale
        )
        raise CheckFailed(f"{said}\nrun `make schemas NAME={parsed.name}`")
    for file in files:
        if file.is_current:
            notice(f"`{file.path}` says what its type gives")
        else:
            notice(_described(file, "changed", "is new; `git add` it"))
            file.write(workspace.root)
            say(str(file.path))


def _described(file: SchemaFile, changed: str, new: str) -> str:
    if file.changes is None:
        return f"`{file.path}` {new}"
    return f"`{file.path}` {changed}:" + "".join(f"\n  {change}" for change in file.changes)

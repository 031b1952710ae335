"""Adding a command to `ml-stevedore`. Called by the modules that hold the commands."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

from stevedore_build.workspace import Workspace

__all__ = ["Commands", "add_command"]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
"""The commands of the program, to which others are added."""


def add_command(
    commands: Commands,
    function: Callable[[Workspace, argparse.Namespace], None],
    title: str,
    *,
    of: str = "the composition",
) -> argparse.ArgumentParser:
    """Add a command that is called as its function: `new-model` runs `_new_model`.

    It takes the name of what it is for, which `of` describes; none if that is empty.
    """
    called = function.__name__.strip("_").replace("_", "-")
    command = commands.add_parser(called, help=title)
    if of:
        command.add_argument("name", help=of)
    command.set_defaults(command=function)
    return command

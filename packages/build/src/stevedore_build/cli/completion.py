"""What a shell offers after `ml-stevedore` and Tab: commands, options, names of this workspace.

`program` calls it. The shell starts the program for each Tab, so that names are those of
the moment.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.images.engines import ENGINES
from stevedore_build.workspace import Workspace

__all__ = ["SHELLS", "offer_completions", "shell_script"]

SHELLS: Final = ("bash", "fish", "zsh")

_ASKED: Final = "_ARGCOMPLETE"
"""The variable with which a shell asks what could follow."""


def shell_script(shell: str) -> str:
    """Return what a shell has to run once, so that it asks."""
    # Here only, as it takes time: a shell runs it at its start.
    from argcomplete.shell_integration import shellcode  # noqa: PLC0415

    return shellcode(["ml-stevedore"], shell=shell)


def offer_completions(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks and end the process; do nothing if none does."""
    if _ASKED not in os.environ:
        return
    import argcomplete  # noqa: PLC0415 - whoever does not ask need not wait

    for action in _actions(parser):
        names = _names_for(action)
        if names is not None:
            action.completer = lambda names=names, **_: names  # type: ignore[attr-defined]  # it is argcomplete's
    argcomplete.autocomplete(parser)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of all its commands."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for command in action.choices.values():
                yield from _actions(command)


def _names_for(action: argparse.Action) -> tuple[str, ...] | None:
    """Return what an argument can be called, `None` where only its writer knows."""
    if action.dest == "engine":
        return (*(engine.name for engine in ENGINES), "none")
    if action.help == "the composition":
        return _names_in("compositions", "composition.toml")
    if action.help == "the model" or action.dest == "model":
        return _names_in("models", "pyproject.toml")
    return None


def _names_in(parent: str, file: str) -> tuple[str, ...]:
    try:
        root = Workspace.around(Path.cwd()).root
    except WorkspaceInvalid:
        return ()
    return tuple(sorted(path.parent.name for path in (root / parent).glob(f"*/{file}")))

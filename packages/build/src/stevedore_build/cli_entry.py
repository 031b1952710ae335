"""The commands of `ml-stevedore` that also work outside of a workspace: `init`, `doctor`."""

import argparse
import sys
from pathlib import Path

from stevedore_build.diagnosis import diagnose, findings_to_json
from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.new_workspace import init_workspace
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to those of the program."""
    command = commands.add_parser("init", help="write a workspace with an example into a directory")
    command.add_argument("directory", type=Path, nargs="?", default=Path(), help="by default, here")
    command.add_argument("--wheels", type=Path, help="a directory with wheels of core, api, build")
    command.add_argument("--no-lock", action="store_true", help="install and lock nothing yet")
    command.set_defaults(anywhere=_init)

    command = commands.add_parser("doctor", help="say what is missing here and how to mend it")
    command.add_argument("--json", action="store_true", help="one line of JSON")
    command.set_defaults(anywhere=_doctor)


def _init(parsed: argparse.Namespace) -> None:
    workspace = init_workspace(parsed.directory, wheels=parsed.wheels, lock=not parsed.no_lock)
    _say(f"{workspace.root} holds the model `line` and the composition `example`. Next:")
    if parsed.directory != Path():
        _say(f"  cd {parsed.directory}")
    _say("  make serve\n  make test")


def _doctor(parsed: argparse.Namespace) -> None:
    """End with 1 if something is missing without which nothing works."""
    try:
        workspace = Workspace.around(Path.cwd())
    except WorkspaceInvalid:
        workspace = None
    findings = []
    for finding in diagnose(workspace):
        findings.append(finding)
        if not parsed.json:
            _say(str(finding))
    if parsed.json:
        _say(findings_to_json(findings))
    if any(finding.state == "missing" for finding in findings):
        sys.exit(1)


def _say(text: str) -> None:
    print(text)  # noqa: T201

"""The commands of `ml-stevedore` that work outside of a workspace too, such as `init`."""

import argparse
import sys
from pathlib import Path

from stevedore_build.cli.commands import Commands
from stevedore_build.cli.completion import SHELLS, shell_script
from stevedore_build.cli.diagnosis import diagnose, findings_to_json
from stevedore_build.console import say
from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.scaffolds.new_workspace import init_workspace
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    command = commands.add_parser("init", help="write a workspace with an example into a directory")
    command.add_argument("directory", type=Path, nargs="?", default=Path(), help="by default, here")
    command.add_argument("--wheels", type=Path, help="a directory with wheels of core, api, build")
    command.add_argument("--no-lock", action="store_true", help="install and lock nothing yet")
    command.set_defaults(anywhere=_init)

    command = commands.add_parser("doctor", help="say what is missing here and how to mend it")
    command.add_argument("--json", action="store_true", help="one line of JSON")
    command.set_defaults(anywhere=_doctor)

    command = commands.add_parser("completion", help="print what makes a shell complete this")
    command.add_argument("shell", choices=SHELLS, help="the shell that completes")
    command.set_defaults(anywhere=_completion)


def _init(parsed: argparse.Namespace) -> None:
    workspace = init_workspace(parsed.directory, wheels=parsed.wheels, lock=not parsed.no_lock)
    say(f"{workspace.root} holds the model `line` and the composition `example`. Next:")
    if parsed.directory != Path():
        say(f"  cd {parsed.directory}")
    say("  make serve\n  make test")


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
            say(str(finding))
    if parsed.json:
        say(findings_to_json(findings))
    if any(finding.state == "missing" for finding in findings):
        sys.exit(1)


def _completion(parsed: argparse.Namespace) -> None:
    say(shell_script(parsed.shell))

"""The commands of `ml-stevedore` that make and check a lock. Called by make."""

import argparse

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.console import say
from stevedore_build.layouts.serving import fresh
from stevedore_build.locks.locking import lock_manifest, read_lock, refuse_released
from stevedore_build.locks.verdict import verdict
from stevedore_build.wheels.pins import refuse_other_than_released, wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.manifest import Manifest

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    command = add_command(commands, _lock, "resolve a composition and write its lock")
    command.add_argument("--upgrade", action="store_true", help="take the newest of everything")

    add_command(commands, _check, "fail if a composition's lock is not fresh")


def _lock(workspace: Workspace, parsed: argparse.Namespace) -> None:
    directory = workspace.composition(parsed.name)
    manifest = Manifest.parse(directory / "composition.toml")
    previous = read_lock(directory)
    wheels = wheels_of(manifest, workspace=workspace)
    refuse_other_than_released(wheels, workspace=workspace)
    lock = lock_manifest(manifest, wheels, previous=previous, upgrade=parsed.upgrade)
    refuse_released(lock, root=workspace.root)
    lock.write(directory)
    say(verdict(lock, wheels, previous=previous))
    say(f"{directory.relative_to(workspace.root) / 'lock.toml'} {lock.digest}")


def _check(workspace: Workspace, parsed: argparse.Namespace) -> None:
    fresh(parsed.name, workspace=workspace)

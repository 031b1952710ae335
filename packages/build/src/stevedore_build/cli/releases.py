"""The commands of `ml-stevedore` that release models and compositions, push them and compare them.

Called by make, through nox where tests run.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.cli.engines import add_engine_option, engines_to_test, one_engine
from stevedore_build.console import notice, say
from stevedore_build.images.registries import parse_registry
from stevedore_build.releases.comparing import compare
from stevedore_build.releases.compositions import push_release, release_composition
from stevedore_build.releases.models import release_model
from stevedore_build.releases.moves_text import moves_to_json, moves_to_markdown
from stevedore_build.versions import PARTS
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    title = "release a model: its wheel and a tag"
    command = add_command(commands, _release_model, title, of="the model")
    command.add_argument("--part", choices=PARTS, help="raise this part of the version first")
    command.add_argument("--python", type=Path, required=True, help="where the tests run")

    command = add_command(commands, _release, "test, build, describe and tag a composition")
    command.add_argument("--part", choices=PARTS, help="raise its version by this part first")
    command.add_argument("--registry", default="", help="push the image there, such as host:port")
    command.add_argument("--python", type=Path, required=True, help="where the tests run")
    add_engine_option(command)

    command = add_command(commands, _diff, "print what moved between two releases")
    command.add_argument("old", help="a released version")
    command.add_argument("new", nargs="?", help="another; without it, what is locked here")
    command.add_argument("--json", action="store_true", help="one line of JSON")

    command = add_command(commands, _push, "push the image of a released composition")
    command.add_argument("--registry", required=True, help="where to, such as host:port")
    add_engine_option(command)


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
    say(f"{tag.tag} {release.wheel.relative_to(workspace.root)}")


def _release(workspace: Workspace, parsed: argparse.Namespace) -> None:
    if parsed.registry:
        parse_registry(parsed.registry)
    engines = engines_to_test(parsed.engine) or [one_engine(parsed.engine)]
    release = release_composition(
        parsed.name,
        workspace=workspace,
        engines=engines,
        python=parsed.python.absolute(),
        part=parsed.part,
        on=datetime.now(tz=UTC).date(),
    )
    if release.is_new:
        notice(f"publish it with: git push origin HEAD {release.tag}")
    else:
        notice(f"{release.tag} is released already, with the same content")
    for image in (release.tag, *release.images):
        say(image)
    if parsed.registry:
        _push(workspace, parsed)


def _diff(workspace: Workspace, parsed: argparse.Namespace) -> None:
    moves = compare(parsed.name, parsed.old, parsed.new, workspace=workspace)
    say(moves_to_json(moves) if parsed.json else moves_to_markdown(moves))


def _push(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engine = one_engine(parsed.engine)
    pushed = push_release(parsed.name, workspace=workspace, engine=engine, registry=parsed.registry)
    say(pushed.reference)

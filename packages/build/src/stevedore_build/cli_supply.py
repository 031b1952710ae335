"""The commands that prove what an image is made of. Called by `cli`."""

import argparse
import os
import sys

from stevedore_build.console import notice
from stevedore_build.engines import Engine, find_engine
from stevedore_build.errors import EngineAbsent
from stevedore_build.verifying import verify_image
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    command = commands.add_parser(
        "verify", help="fail if an image is not what its lock gives; nothing of it is run"
    )
    command.add_argument("image", help="its name or id, or a file that `save` wrote")
    command.add_argument(
        "--any-lock", action="store_true", help="let its lock be another than the workspace's"
    )
    _add_engine(command)
    command.set_defaults(command=_verify)


def _add_engine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine",
        default=os.environ.get("ENGINE", ""),
        help="podman, docker or colima; by default the first that works",
    )


def _verify(workspace: Workspace, parsed: argparse.Namespace) -> None:
    found = verify_image(
        parsed.image,
        workspace=workspace,
        engine=_engine(parsed),
        any_lock=parsed.any_lock,
    )
    for difference in found.differences:
        notice(difference)
    if found.differences:
        print(f"error: {found.identity} is not what its lock gives", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    lock = found.lock
    _say(f"{found.identity} is `{lock.name}` {lock.version}, lock {lock.digest}")


def _engine(parsed: argparse.Namespace) -> Engine:
    engine = find_engine(parsed.engine)
    if engine is None:
        raise EngineAbsent("`ENGINE=none` has no base and no image: name an engine")
    return engine


def _say(text: str) -> None:
    print(text)  # noqa: T201

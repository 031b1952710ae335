"""The commands of `ml-stevedore` that build, run and test an image. Called by make and nox."""

import argparse
import os
import sys
from pathlib import Path

from stevedore_build.checks.running import composition_passed
from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.cli.engines import add_engine_option, engines_to_test, one_engine
from stevedore_build.console import notice, say
from stevedore_build.images.composing import (
    check_image,
    compose_context,
    compose_image,
    image_passed,
    renew_base,
    run_container,
    stop_container,
)
from stevedore_build.images.engines import find_engine
from stevedore_build.platforms import LINUX_AMD64, PLATFORMS, Platform
from stevedore_build.workspace import Workspace
from stevedore_core.errors import StevedoreError

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    for function, title in (
        (_base, "make the base image anew"),
        (_passed, "print the image of a composition if everything passed as it is now, or fail"),
        (_image, "build a composition's image, print its name"),
        (_run, "run a composition's image in the background"),
        (_stop, "stop what `run` started"),
        (_test_image, "test a composition's image; what follows `--` goes to pytest"),
    ):
        command = add_command(commands, function, title)
        add_engine_option(command, none=function in (_image, _passed, _test_image))
        if function in (_base, _image):
            command.add_argument(
                "--arch",
                choices=[p.architecture for p in PLATFORMS if p.system == "linux"],
                default=os.environ.get("ARCH") or LINUX_AMD64.architecture,
                help="the kind of processor; others than this machine's can be built, not run",
            )
        if function is _run:
            command.add_argument("--port", type=int, default=8000, help="where it answers")
        if function is _test_image:
            command.add_argument("--python", type=Path, required=True, help="where the tests run")


def _base(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engine, platform = one_engine(parsed.engine), _platform(parsed)
    say(renew_base(parsed.name, workspace=workspace, engine=engine, platform=platform))


def _image(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engine, platform = find_engine(parsed.engine), _platform(parsed)
    if engine is None:
        context = compose_context(parsed.name, workspace=workspace, platform=platform)
        say(str(context.relative_to(workspace.root)))
    else:
        image = compose_image(parsed.name, workspace=workspace, engine=engine, platform=platform)
        say(image.reference)


def _passed(workspace: Workspace, parsed: argparse.Namespace) -> None:
    """End with 1 where anything is to be done; whatever does it says what is wrong."""
    try:
        if composition_passed(parsed.name, workspace=workspace):
            engines = engines_to_test(parsed.engine)
            images = [image_passed(parsed.name, workspace=workspace, engine=e) for e in engines]
            if images and images[0] is not None and None not in images:
                say(images[0].reference)
                return
    except StevedoreError:
        pass
    sys.exit(1)


def _run(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engine = one_engine(parsed.engine)
    say(run_container(parsed.name, workspace=workspace, engine=engine, port=parsed.port))


def _stop(_: Workspace, parsed: argparse.Namespace) -> None:
    if not stop_container(parsed.name, engine=one_engine(parsed.engine)):
        notice(f"no container of `{parsed.name}` runs")


def _test_image(workspace: Workspace, parsed: argparse.Namespace) -> None:
    python = parsed.python.absolute()
    for engine in engines_to_test(parsed.engine):
        check_image(
            parsed.name,
            workspace=workspace,
            engine=engine,
            python=python,
            options=parsed.options,
        )


def _platform(parsed: argparse.Namespace) -> Platform:
    return next(p for p in PLATFORMS if p.name == f"linux/{parsed.arch}")

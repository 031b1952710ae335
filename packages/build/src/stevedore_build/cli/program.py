"""`ml-stevedore`: the commands that make and nox call. Prints results, and errors in one line."""

import argparse
import errno
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stevedore_build.checks.affected import affected_since
from stevedore_build.checks.running import check_composition, check_model, composition_passed
from stevedore_build.cli import (
    anywhere,
    compositions,
    originals,
    releases,
    scaffolds,
    schemas,
    supply,
    weights,
)
from stevedore_build.cli.completion import offer_completions
from stevedore_build.cli.engines import add_engine_option, engines_to_test, one_engine
from stevedore_build.console import notice, say
from stevedore_build.drafts import draft_directory
from stevedore_build.errors import WorkspaceInvalid
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
from stevedore_build.layouts.joining import make_layout
from stevedore_build.layouts.serving import composition_now, fresh, model_alone, serve
from stevedore_build.locks.locking import lock_manifest, refuse_released
from stevedore_build.locks.verdict import verdict
from stevedore_build.platforms import LINUX_AMD64, PLATFORMS, Platform
from stevedore_build.wheels.pins import refuse_other_than_released, wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.errors import DocumentInvalid, StevedoreError
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = ["main"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_ROOM_NEEDED: Final = (
    "free some where the repository lies, for instance by removing `.stevedore`, where everything "
    "is made again when needed, and run this again"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code. What stands after `--` is for pytest."""
    mine, options = _split(sys.argv[1:] if arguments is None else list(arguments))
    parser = _parser()
    offer_completions(parser)
    parsed = parser.parse_args(mine)
    parsed.options = options
    # What is being tidied up after Ctrl-C is tidied up after SIGTERM too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _run_command(parsed)
    except StevedoreError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        if error.errno not in _FULL:
            raise
        print(f"error: {error.strerror}: {_ROOM_NEEDED}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run_command(parsed: argparse.Namespace) -> None:
    if "anywhere" in parsed:
        parsed.anywhere(parsed)
        return
    workspace = Workspace.around(Path.cwd())
    with _temporary_files(workspace):
        parsed.command(workspace, parsed)


@contextmanager
def _temporary_files(workspace: Workspace) -> Iterator[None]:
    """Have temporary files in the store, where the next command removes those of a killed one."""
    with draft_directory(workspace.store.drafts) as directory:
        before, tempfile.tempdir = tempfile.tempdir, str(directory)
        try:
            yield
        finally:
            tempfile.tempdir = before


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ml-stevedore", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("lock", help="resolve a composition and write its lock")
    command.add_argument("name", help="the composition")
    command.add_argument("--upgrade", action="store_true", help="take the newest of everything")
    command.set_defaults(command=_lock)

    command = commands.add_parser(
        "affected", help="print what changed since a commit, and what ships it"
    )
    command.add_argument("--since", required=True, help="a commit, branch or tag")
    command.add_argument("--json", action="store_true", help="one line of JSON")
    command.set_defaults(command=_affected)

    command = commands.add_parser("check", help="fail if a composition's lock is not fresh")
    command.add_argument("name", help="the composition")
    command.set_defaults(command=_check)

    command = commands.add_parser("serve", help="serve a composition or a model on this machine")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", help="the composition")
    what.add_argument("--model", help="serve one model package, without a manifest")
    command.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    command.add_argument("--port", type=int, default=8000, help="the port to listen on")
    command.set_defaults(command=_serve)

    command = commands.add_parser("layout", help="make a composition's layout, print where it is")
    command.add_argument("name", help="the composition")
    command.add_argument("--model", help="restrict the lock to one model")
    command.set_defaults(command=_layout)

    for check, kind, tested in (
        (check_model, "model", "test one model alone; what follows `--` goes to pytest"),
        (check_composition, "composition", "test a composition over HTTP; likewise"),
    ):
        command = commands.add_parser(f"test-{kind}", help=tested)
        command.add_argument("name", help=f"the {kind}")
        command.add_argument("--python", type=Path, required=True, help="where the tests run")
        command.set_defaults(command=_check_with, check=check)
    _add_image_commands(commands)
    releases.add_commands(commands)
    schemas.add_commands(commands)
    compositions.add_commands(commands)
    supply.add_commands(commands)
    weights.add_commands(commands)
    anywhere.add_commands(commands)
    originals.add_commands(commands)
    scaffolds.add_commands(commands)
    return parser


def _add_image_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for function, title in (
        (_base, "make the base image anew"),
        (_passed, "print the image of a composition if everything passed as it is now, or fail"),
        (_image, "build a composition's image, print its name"),
        (_run, "run a composition's image in the background"),
        (_stop, "stop what `run` started"),
        (_check_image, "test a composition's image; what follows `--` goes to pytest"),
    ):
        command = commands.add_parser(
            function.__name__.replace("_check_", "test-").strip("_"), help=title
        )
        command.add_argument("name", help="the composition")
        add_engine_option(command)
        command.set_defaults(command=function)
        if function in (_base, _image):
            command.add_argument(
                "--arch",
                choices=[p.architecture for p in PLATFORMS if p.system == "linux"],
                default=os.environ.get("ARCH") or LINUX_AMD64.architecture,
                help="the kind of processor; others than this machine's can be built, not run",
            )
        if function is _run:
            command.add_argument("--port", type=int, default=8000, help="where it answers")
        if function is _check_image:
            command.add_argument("--python", type=Path, required=True, help="where the tests run")


def _lock(workspace: Workspace, parsed: argparse.Namespace) -> None:
    directory = workspace.composition(parsed.name)
    manifest = Manifest.parse(directory / "composition.toml")
    try:
        previous = Lock.read(directory)
    except DocumentInvalid:
        previous = None
    wheels = wheels_of(manifest, workspace=workspace)
    refuse_other_than_released(wheels, workspace=workspace)
    lock = lock_manifest(manifest, wheels, previous=previous, upgrade=parsed.upgrade)
    refuse_released(lock, root=workspace.root)
    lock.write(directory)
    say(verdict(lock, wheels, previous=previous))
    say(f"{directory.relative_to(workspace.root) / 'lock.toml'} {lock.digest}")


def _affected(workspace: Workspace, parsed: argparse.Namespace) -> None:
    found = affected_since(parsed.since, workspace=workspace)
    if parsed.json:
        say(found.to_json())
        return
    say(f"models: {', '.join(found.models) or 'none'}")
    say(f"compositions: {', '.join(found.compositions) or 'none'}")


def _check(workspace: Workspace, parsed: argparse.Namespace) -> None:
    fresh(parsed.name, workspace=workspace)


def _check_with(workspace: Workspace, parsed: argparse.Namespace) -> None:
    python = parsed.python.absolute()
    parsed.check(parsed.name, workspace=workspace, python=python, options=parsed.options)


def _serve(workspace: Workspace, parsed: argparse.Namespace) -> None:
    if parsed.model is None:
        served = composition_now(parsed.name, workspace=workspace)
    else:
        served = model_alone(parsed.model, workspace=workspace)
    serve(served, workspace=workspace, host=parsed.host, port=parsed.port)


def _layout(workspace: Workspace, parsed: argparse.Namespace) -> None:
    manifest, lock = fresh(parsed.name, workspace=workspace)
    if parsed.model is not None:
        held = list(dict.fromkeys(model.name for model in lock.models))
        if parsed.model not in held:
            raise WorkspaceInvalid(
                f"composition `{lock.name}` holds no model `{parsed.model}`; it holds "
                + ", ".join(f"`{name}`" for name in held)
            )
        lock = lock.restrict(parsed.model)
        manifest = Manifest.of_model(lock.name, version=lock.version, python=lock.python)
    say(str(make_layout(manifest, lock, store=workspace.store).root))


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


def _check_image(workspace: Workspace, parsed: argparse.Namespace) -> None:
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

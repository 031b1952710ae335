"""The commands of `ml-stevedore` that make a layout and serve it. Called by make."""

import argparse

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.console import say
from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.layouts.joining import layout_alone, make_layout
from stevedore_build.layouts.serving import composition_now, fresh, model_alone, serve
from stevedore_build.workspace import Workspace

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands to those of the program."""
    title = "serve a composition or a model on this machine"
    command = add_command(commands, _serve, title, of="")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", help="the composition")
    what.add_argument("--model", help="serve one model package, without a manifest")
    command.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    command.add_argument("--port", type=int, default=8000, help="the port to listen on")

    command = add_command(commands, _layout, "make a composition's layout, print where it is")
    command.add_argument("--model", help="restrict the lock to one model")


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
        layout, _ = layout_alone(lock.restrict(parsed.model), store=workspace.store)
    else:
        layout = make_layout(manifest, lock, store=workspace.store)
    say(str(layout.root))

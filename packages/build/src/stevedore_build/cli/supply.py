"""The commands of `ml-stevedore` that prove what an image is made of."""

import argparse
from pathlib import Path

from stevedore_build.cli.commands import Commands, add_command
from stevedore_build.cli.engines import add_engine_option, one_engine
from stevedore_build.console import notice, say
from stevedore_build.errors import CheckFailed, SigningFailed
from stevedore_build.images.building import image_name
from stevedore_build.images.documents import Documents
from stevedore_build.images.verifying import verify_image
from stevedore_build.signing import KEY_VARIABLE, check_signature, find_signer
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add the commands."""
    title = "fail if an image is not what its lock gives; nothing of it is run"
    command = add_command(commands, _verify, title, of="")
    command.add_argument("image", help="its name or id, a file that `save` wrote, or a composition")
    command.add_argument(
        "--any-lock", action="store_true", help="let its lock be another than the workspace's"
    )
    add_engine_option(command)

    command = add_command(commands, _sign, "write signatures beside files", of="")
    command.add_argument("files", nargs="+", type=Path, help="what to sign")

    title = "fail if a file's signature is not good"
    command = add_command(commands, _check_signature, title, of="")
    command.add_argument("files", nargs="+", type=Path, help="what was signed")
    command.add_argument("--key", type=Path, required=True, help="the public key")

    title = "print the bill of materials of a composition's image, as CycloneDX"
    add_command(commands, _sbom, title)
    title = "print the licence of everything that a composition's image ships"
    add_command(commands, _licences, title)
    title = "print what a composition's image was made of, as SLSA provenance"
    add_engine_option(add_command(commands, _provenance, title))


def _verify(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engine = one_engine(parsed.engine)
    image = parsed.image
    if image in workspace.compositions():
        image = image_name(Lock.read(workspace.composition(image)), engine)
    found = verify_image(image, workspace=workspace, engine=engine, any_lock=parsed.any_lock)
    for difference in found.differences:
        notice(difference)
    if found.differences:
        raise CheckFailed(f"{found.identity} is not what its lock gives")
    lock = found.lock
    say(f"{found.identity} is `{lock.name}` {lock.version}, lock {lock.digest}")


def _sbom(workspace: Workspace, parsed: argparse.Namespace) -> None:
    say(Documents.of(parsed.name, workspace=workspace).sbom.rstrip())


def _licences(workspace: Workspace, parsed: argparse.Namespace) -> None:
    say(Documents.of(parsed.name, workspace=workspace).licences().rstrip())


def _provenance(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engines = [one_engine(parsed.engine)]
    say(Documents.of(parsed.name, workspace=workspace).provenance(engines).rstrip())


def _sign(_: Workspace, parsed: argparse.Namespace) -> None:
    signer = find_signer()
    if signer is None:
        raise SigningFailed(f"`{KEY_VARIABLE}` names no key, so there is nothing to sign with")
    for file in parsed.files:
        say(str(signer.sign_file(file)))


def _check_signature(_: Workspace, parsed: argparse.Namespace) -> None:
    for file in parsed.files:
        check_signature(file, public_key=parsed.key)

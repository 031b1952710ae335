"""The commands of `ml-stevedore` that prove what an image is made of."""

import argparse
import os
import sys
from pathlib import Path

from stevedore_build.console import notice, say
from stevedore_build.errors import EngineAbsent, SigningFailed
from stevedore_build.images.building import image_name
from stevedore_build.images.documents import licences, provenance, sbom
from stevedore_build.images.engines import Engine, find_engine
from stevedore_build.images.verifying import verify_image
from stevedore_build.signing import KEY_VARIABLE, check_signature, find_signer
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock

__all__ = ["add_commands"]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    command = commands.add_parser(
        "verify", help="fail if an image is not what its lock gives; nothing of it is run"
    )
    command.add_argument("image", help="its name or id, a file that `save` wrote, or a composition")
    command.add_argument(
        "--any-lock", action="store_true", help="let its lock be another than the workspace's"
    )
    _add_engine(command)
    command.set_defaults(command=_verify)

    command = commands.add_parser("sign", help="write signatures beside files")
    command.add_argument("files", nargs="+", type=Path, help="what to sign")
    command.set_defaults(command=_sign)

    command = commands.add_parser("check-signature", help="fail if a file's signature is not good")
    command.add_argument("files", nargs="+", type=Path, help="what was signed")
    command.add_argument("--key", type=Path, required=True, help="the public key")
    command.set_defaults(command=_check_signature)

    for function, title in (
        (_sbom, "print the bill of materials of a composition's image, as CycloneDX"),
        (_licences, "print the licence of everything that a composition's image ships"),
        (_provenance, "print what a composition's image was made of, as SLSA provenance"),
    ):
        command = commands.add_parser(function.__name__.strip("_"), help=title)
        command.add_argument("name", help="the composition")
        if function is _provenance:
            _add_engine(command)
        command.set_defaults(command=function)


def _add_engine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine",
        default=os.environ.get("ENGINE", ""),
        help="podman, docker or colima; by default the first that works",
    )


def _verify(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engine = _engine(parsed)
    image = parsed.image
    if image in workspace.compositions():
        image = image_name(Lock.read(workspace.composition(image)), engine)
    found = verify_image(image, workspace=workspace, engine=engine, any_lock=parsed.any_lock)
    for difference in found.differences:
        notice(difference)
    if found.differences:
        print(f"error: {found.identity} is not what its lock gives", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    lock = found.lock
    say(f"{found.identity} is `{lock.name}` {lock.version}, lock {lock.digest}")


def _sbom(workspace: Workspace, parsed: argparse.Namespace) -> None:
    say(sbom(parsed.name, workspace=workspace).rstrip())


def _licences(workspace: Workspace, parsed: argparse.Namespace) -> None:
    say(licences(parsed.name, workspace=workspace).rstrip())


def _provenance(workspace: Workspace, parsed: argparse.Namespace) -> None:
    engines = [_engine(parsed)]
    say(provenance(parsed.name, workspace=workspace, engines=engines).rstrip())


def _sign(_: Workspace, parsed: argparse.Namespace) -> None:
    signer = find_signer()
    if signer is None:
        raise SigningFailed(f"`{KEY_VARIABLE}` names no key, so there is nothing to sign with")
    for file in parsed.files:
        say(str(signer.sign_file(file)))


def _check_signature(_: Workspace, parsed: argparse.Namespace) -> None:
    for file in parsed.files:
        check_signature(file, public_key=parsed.key)


def _engine(parsed: argparse.Namespace) -> Engine:
    engine = find_engine(parsed.engine)
    if engine is None:
        raise EngineAbsent("`ENGINE=none` has no base and no image: name an engine")
    return engine

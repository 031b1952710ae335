"""Holding an image against what its own lock gives when it is built anew. Nothing of it is run.

Called by the command line for `ml-stevedore verify`. Layers are compared file by file with layers
made in an empty store; user, command, environment and labels with those that a build would set.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stevedore_build.drafts import draft_directory
from stevedore_build.errors import BaseUnusable, ImageUnreadable, WorkspaceInvalid
from stevedore_build.images.archives import Entry, SavedImage, entries_of
from stevedore_build.images.bases import base_name
from stevedore_build.images.building import containerfile_of
from stevedore_build.images.containerfile import Containerfile
from stevedore_build.images.engines import Engine
from stevedore_build.images.tars import tar_layer
from stevedore_build.layouts.layers import Layer, layers_of
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, Platform
from stevedore_build.store import Store
from stevedore_build.weights.fetched import fetch_weights, weights_of
from stevedore_build.wheels.building import copy_wheel, stored_wheel
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.errors import DocumentInvalid
from stevedore_core.layout import IMAGE_ROOT, Layout
from stevedore_core.lock import Lock, LockedModel, LockedWheel
from stevedore_core.manifest import Manifest

__all__ = ["BaseImage", "Verified", "base_image", "compare", "verify_image", "verify_saved"]

_COMPOSITION: Final = Layout(root=IMAGE_ROOT).composition.as_posix().removeprefix("/")
_DOCUMENT: Final = re.compile(r"composition\.toml|lock\.toml|lock/[a-z][a-z0-9_-]*\.txt")
_MOST: Final = 10
"""How many differing files of a layer are named."""

_MACHINE_ONLY: Final = frozenset({"ArgsEscaped", "Domainname", "Hostname", "Image"})
"""What engines note about the machine that built; nothing of it counts when a container runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """The base that a composition should stand on, as an engine has it."""

    reference: str
    identity: str
    layers: tuple[str, ...]
    configuration: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The outcome: which image it was, and in what it differs; empty means in nothing."""

    identity: str
    lock: Lock
    differences: tuple[str, ...]


def verify_image(
    image: str, *, workspace: Workspace, engine: Engine, any_lock: bool = False
) -> Verified:
    """Hold an image of an engine, or one in an archive file, against its lock.

    Unless `any_lock`, that lock must be the workspace's own. Raises `ImageUnreadable` where there
    is no image of a composition.
    """
    with draft_directory(workspace.store.drafts) as room:
        archive = Path(image)
        if not archive.is_file():
            archive = room / "image.tar"
            if engine.find_image(image) is None:
                raise ImageUnreadable(f"{engine.name} has no image `{image}`, nor is it a file")
            engine.run("save", "--output", str(archive), image)
        saved = SavedImage.read(archive)
        manifest, lock = _documents(saved)
        base = base_image(lock, engine=engine, platform=_platform(saved))
        return verify_saved(
            saved, manifest, lock, base=base, workspace=workspace, any_lock=any_lock
        )


def base_image(lock: Lock, *, engine: Engine, platform: Platform) -> BaseImage:
    """Return the base of a lock. Raises `BaseUnusable` if the engine does not have it."""
    reference = lock.base or base_name(lock.python, platform)
    identity = engine.find_image(reference)
    if identity is None:
        raise BaseUnusable(
            f"base `{reference}`: {engine.name} has no such image, so what stands on it cannot be "
            f"verified; pull it, or run `make base NAME={lock.name}`"
        )
    return BaseImage(
        reference=reference,
        identity=identity,
        layers=engine.layers(identity),
        configuration=engine.configuration(identity),
    )


def verify_saved(  # noqa: PLR0913 - each is one side of the comparison
    saved: SavedImage,
    manifest: Manifest,
    lock: Lock,
    *,
    base: BaseImage,
    workspace: Workspace,
    any_lock: bool,
) -> Verified:
    """Hold a saved image against the manifest and the lock that were found in it."""
    found = [] if any_lock else list(_other_lock(lock, workspace))
    if manifest.sha256 != lock.manifest_sha256:
        found.append("lock: it was made from another `composition.toml` than the image's")
    with draft_directory(workspace.store.drafts) as room:
        store = Store(root=room, shared_weights=workspace.store.weights)
        _give_wheels(manifest, lock, workspace, store)
        # Read again when their layer is made, so that what is kept need not be trusted.
        fetch_weights(weights_of(lock, store=store), store=workspace.store)
        layers = layers_of(manifest, lock, store=store, platform=_platform(saved), libraries=None)
        found += compare(saved, lock, base=base, layers=layers, store=store)
    return Verified(identity=saved.identity, lock=lock, differences=tuple(found))


def compare(
    saved: SavedImage, lock: Lock, *, base: BaseImage, layers: Sequence[Layer], store: Store
) -> list[str]:
    """Say in what a saved image differs from these layers on this base."""
    containerfile = containerfile_of(
        lock, base=base.identity, base_name=base.reference, layers=layers
    )
    return [
        *_base_differences(saved, base),
        *_configuration_differences(saved, containerfile, base),
        *_layer_differences(saved, layers, store, first=len(base.layers)),
    ]


def _documents(saved: SavedImage) -> tuple[Manifest, Lock]:
    """Read the manifest and the lock from the topmost layer that has a lock."""
    for position in reversed(range(saved.layer_count)):
        files = saved.files(position, _COMPOSITION)
        if "lock.toml" in files:
            with tempfile.TemporaryDirectory() as room:
                for name, content in files.items():
                    if _DOCUMENT.fullmatch(name):
                        file = Path(room, name)
                        file.parent.mkdir(exist_ok=True)
                        file.write_bytes(content)
                try:
                    return Manifest.parse(Path(room, "composition.toml")), Lock.read(Path(room))
                except DocumentInvalid as error:
                    said = str(error).replace(f"{room}/", f"/{_COMPOSITION}/")
                    raise ImageUnreadable(f"{saved.archive.name}: {said}") from error
    raise ImageUnreadable(
        f"no layer holds `/{_COMPOSITION}/lock.toml`: this is no image of a composition"
    )


def _other_lock(lock: Lock, workspace: Workspace) -> Iterator[str]:
    try:
        ours = Lock.read(workspace.composition(lock.name))
    except (WorkspaceInvalid, DocumentInvalid) as error:
        yield f"lock: the workspace has none to hold it against: {error}"
        return
    if ours.digest != lock.digest:
        yield (
            f"lock: the workspace's `compositions/{lock.name}/lock.toml` is {ours.version} with "
            f"digest {ours.digest}, the image's is {lock.version} with digest {lock.digest}"
        )


def _give_wheels(manifest: Manifest, lock: Lock, workspace: Workspace, store: Store) -> None:
    """Put our locked wheels into an empty store, each under the digest that it has now."""
    wheels_of(manifest, workspace=workspace)  # leaves them in the workspace's store
    own: tuple[LockedWheel | LockedModel, ...] = (*lock.wheels, *lock.models)
    for locked in own:
        copy_wheel(stored_wheel(locked, store=workspace.store), store)


def _platform(saved: SavedImage) -> Platform:
    name = f"{saved.configuration.get('os')}/{saved.configuration.get('architecture')}"
    for platform in (LINUX_AMD64, LINUX_ARM64):
        if platform.name == name:
            return platform
    raise ImageUnreadable(
        f"the image is for `{name}`; a composition's is for `{LINUX_AMD64.name}` or "
        f"`{LINUX_ARM64.name}`"
    )


def _base_differences(saved: SavedImage, base: BaseImage) -> Iterator[str]:
    told = saved.configuration["rootfs"]["diff_ids"]
    for position, wanted in enumerate(base.layers):
        found = told[position] if position < len(told) else "nothing"
        if found != wanted:
            yield (
                f"base: `{base.reference}` has {wanted} as layer {position + 1}, the image {found}"
            )


def _configuration_differences(
    saved: SavedImage, containerfile: Containerfile, base: BaseImage
) -> Iterator[str]:
    wanted = _settings(containerfile.configuration(base.configuration))
    found = _settings(saved.configuration.get("config") or {})
    for key in sorted(wanted.keys() | found.keys()):
        one, other = wanted.get(key), found.get(key)
        if one != other:
            yield f"configuration: `{key}`: expected {_told(one)}, found {_told(other)}"


def _settings(configuration: Mapping[str, Any]) -> dict[str, object]:
    """Return what a container starts with, flat, without what is empty or says nothing."""
    flat: dict[str, object] = {}
    for key, value in configuration.items():
        if key == "Env":
            flat |= {f"Env {name}": text for name, _, text in (v.partition("=") for v in value)}
        elif isinstance(value, dict):
            flat |= {f"{key} {name}": inner for name, inner in value.items()}
        elif value and key not in _MACHINE_ONLY and (key, value) != ("WorkingDir", "/"):
            flat[key] = value
    # Podman's version, where a base was built with podman.
    flat.pop("Labels io.buildah.version", None)
    return flat


def _told(value: object) -> str:
    return "nothing" if value is None else f"`{value}`"


def _layer_differences(
    saved: SavedImage, layers: Sequence[Layer], store: Store, *, first: int
) -> Iterator[str]:
    digests = saved.configuration["rootfs"]["diff_ids"]
    for position in range(first):
        if position < saved.layer_count:
            yield from _damage(position, saved.digest(position), digests)
    for position, layer in enumerate(layers, start=first):
        if position >= saved.layer_count:
            yield f"layer `{layer.name}`: missing"
            continue
        yield from _damage(position, saved.digest(position), digests)
        with tar_layer(layer, store).open("rb") as tar:
            wanted = entries_of(tar)
        yield from _limited(
            f"layer `{layer.name}`", _entry_differences(wanted, saved.entries(position))
        )
    for position in range(first + len(layers), saved.layer_count):
        where = f"layer {position + 1}, which no build adds"
        yield from _limited(where, _entry_differences({}, saved.entries(position)))


def _damage(position: int, digest: str, digests: Sequence[str]) -> Iterator[str]:
    told = digests[position] if position < len(digests) else "nothing"
    if digest != told:
        yield f"layer {position + 1}: its digest is {digest}, the configuration says {told}"


def _entry_differences(wanted: Mapping[str, Entry], found: Mapping[str, Entry]) -> Iterator[str]:
    for path in sorted(wanted.keys() | found.keys()):
        one, other = wanted.get(path), found.get(path)
        if one is None:
            yield f"`/{path}` was added"
        elif other is None:
            yield f"`/{path}` is missing"
        elif one != other:
            parts = ("kind", "mode", "owner", "target", "attributes")
            unlike = [part for part in parts if getattr(one, part) != getattr(other, part)]
            unlike += ["content"] if one.sha256 != other.sha256 else []
            yield f"`/{path}` differs in {' and '.join(unlike)}"


def _limited(where: str, found: Iterator[str]) -> Iterator[str]:
    listed = list(found)
    for difference in listed[:_MOST]:
        yield f"{where}: {difference}"
    if len(listed) > _MOST:
        yield f"{where}: {len(listed) - _MOST} more files differ"

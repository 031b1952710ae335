"""What goes beside a composition's image: its lock, bill of materials, licences and provenance.

Called by the command line, and by whatever releases a composition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stevedore_build.console import notice
from stevedore_build.errors import ToolFailed
from stevedore_build.images.building import CONTENT_LABEL
from stevedore_build.images.composing import compose_image
from stevedore_build.images.engines import Engine
from stevedore_build.inventory.licences import licences_text, without_licence
from stevedore_build.inventory.provenance import BuiltImage, Commit, provenance_of
from stevedore_build.inventory.shipped import Shipped, shipped_in
from stevedore_build.layouts.layers import SBOM, Layer, layers_of
from stevedore_build.layouts.serving import fresh
from stevedore_build.platforms import LINUX_AMD64, Platform
from stevedore_build.processes import git
from stevedore_build.weights.fetched import ModelWeights, weights_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = ["LICENCES", "PROVENANCE", "documents", "licences", "provenance", "sbom"]

LICENCES: Final = "licences.txt"
PROVENANCE: Final = "provenance.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """A composition as it is locked, with its layers."""

    manifest: Manifest
    lock: Lock
    layers: tuple[Layer, ...]
    weights: tuple[ModelWeights, ...]

    @property
    def sbom(self) -> str:
        return (self.layers[-1].directory / SBOM).read_text(encoding="utf-8")

    @property
    def shipped(self) -> tuple[Shipped, ...]:
        return shipped_in([(one.name, one.directory) for one in self.layers[:-1]], self.lock)


def documents(
    name: str, *, workspace: Workspace, engines: Sequence[Engine], platform: Platform = LINUX_AMD64
) -> Mapping[str, bytes]:
    """Return all documents of a composition as it is locked, by file name.

    Its image is built where an engine does not have it. Raises `LockStale`, and what building does.
    """
    made = _made(name, workspace, platform)
    texts = {
        "composition.toml": made.manifest.text,
        "lock.toml": made.lock.text,
        **{f"lock/{one.name}.txt": one.text for one in made.lock.environments},
        SBOM: made.sbom,
        LICENCES: licences(name, workspace=workspace, platform=platform),
        PROVENANCE: provenance(name, workspace=workspace, engines=engines, platform=platform),
    }
    return {file: text.encode() for file, text in texts.items()}


def sbom(name: str, *, workspace: Workspace, platform: Platform = LINUX_AMD64) -> str:
    """Return the bill of materials that lies in the image."""
    return _made(name, workspace, platform).sbom


def licences(name: str, *, workspace: Workspace, platform: Platform = LINUX_AMD64) -> str:
    """Return the licences of all that the image ships, and say for what none is stated."""
    made = _made(name, workspace, platform)
    unknown = without_licence(made.shipped)
    if unknown:
        notice(f"the licence is unknown, as the metadata states none, of {', '.join(unknown)}")
    title = f"`{made.lock.name}` {made.lock.version} for {platform.name}"
    return licences_text(title, made.shipped)


def provenance(
    name: str, *, workspace: Workspace, engines: Sequence[Engine], platform: Platform = LINUX_AMD64
) -> str:
    """Return where the images come from that the engines have; they are built if need be."""
    made = _made(name, workspace, platform)
    images = []
    for engine in engines:
        image = compose_image(name, workspace=workspace, engine=engine, platform=platform)
        labels = engine.labels(image.identity)
        images.append(
            BuiltImage(
                engine=engine.name,
                reference=image.reference,
                identity=image.identity,
                layers=_named(engine.layers(image.identity), made.layers),
                base=labels["org.opencontainers.image.base.name"],
                base_identity=labels["org.opencontainers.image.base.digest"],
                content=labels[CONTENT_LABEL],
            )
        )
    commit = _commit(workspace)
    return provenance_of(
        made.lock, made.shipped, images, made.weights, platform=platform, commit=commit
    )


def _named(digests: Sequence[str], layers: Sequence[Layer]) -> tuple[tuple[str, str], ...]:
    """Pair the layers of an image with their names; the base's have numbers."""
    below = len(digests) - len(layers)
    names = [f"base/{place}" for place in range(1, below + 1)]
    names += [layer.name for layer in layers]
    return tuple(zip(names, digests, strict=True))


def _commit(workspace: Workspace) -> Commit | None:
    try:
        head = git("rev-parse", "--verify", "HEAD", cwd=workspace.root).strip()
    except ToolFailed:  # nothing is committed yet
        return None
    changed = git("status", "--porcelain", "--untracked-files=no", cwd=workspace.root)
    return Commit(identity=head, has_changes=bool(changed))


def _made(name: str, workspace: Workspace, platform: Platform) -> _Made:
    manifest, lock = fresh(name, workspace=workspace)
    store = workspace.store
    layers = layers_of(manifest, lock, store=store, platform=platform, libraries=None)
    weights = weights_of(lock, store=store)
    return _Made(manifest=manifest, lock=lock, layers=layers, weights=weights)

"""What goes beside a composition's image: its lock, bill of materials, licences and provenance.

Called by the command line, and by whatever releases a composition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

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
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.processes import git
from stevedore_build.weights.fetched import weights_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = ["Documents"]

_PLATFORM: Final = LINUX_AMD64
"""What is released."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Documents:
    """What tells of a composition as it is locked."""

    workspace: Workspace
    manifest: Manifest
    lock: Lock
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, name: str, *, workspace: Workspace) -> Self:
        """Make the layers of a composition. Raises `LockStale`."""
        manifest, lock = fresh(name, workspace=workspace)
        store = workspace.store
        layers = layers_of(manifest, lock, store=store, platform=_PLATFORM, libraries=None)
        return cls(workspace=workspace, manifest=manifest, lock=lock, layers=layers)

    def files(self, engines: Sequence[Engine]) -> Mapping[str, bytes]:
        """Return all documents by file name. Images are built as for `provenance`."""
        texts = {
            "composition.toml": self.manifest.text,
            "lock.toml": self.lock.text,
            **{f"lock/{one.name}.txt": one.text for one in self.lock.environments},
            SBOM: self.sbom,
            "licences.txt": self.licences(),
            "provenance.json": self.provenance(engines),
        }
        return {file: text.encode() for file, text in texts.items()}

    @property
    def sbom(self) -> str:
        """The bill of materials that lies in the image."""
        return (self.layers[-1].directory / SBOM).read_text(encoding="utf-8")

    def licences(self) -> str:
        """Return the licences of all that the image ships, and say for what none is stated."""
        if unknown := without_licence(self._shipped):
            notice(f"the licence is unknown, as the metadata states none, of {', '.join(unknown)}")
        title = f"`{self.lock.name}` {self.lock.version} for {_PLATFORM.name}"
        return licences_text(title, self._shipped)

    def provenance(self, engines: Sequence[Engine]) -> str:
        """Return where the images come from that the engines have; they are built if need be."""
        weights = weights_of(self.lock, store=self.workspace.store)
        images = [self._image(engine) for engine in engines]
        commit = _commit(self.workspace)
        return provenance_of(
            self.lock, self._shipped, images, weights, platform=_PLATFORM, commit=commit
        )

    @property
    def _shipped(self) -> tuple[Shipped, ...]:
        return shipped_in([(one.name, one.directory) for one in self.layers[:-1]], self.lock)

    def _image(self, engine: Engine) -> BuiltImage:
        image = compose_image(self.lock.name, workspace=self.workspace, engine=engine)
        labels = engine.labels(image.identity)
        return BuiltImage(
            engine=engine.name,
            reference=image.reference,
            identity=image.identity,
            layers=_named(engine.layers(image.identity), self.layers),
            base=labels["org.opencontainers.image.base.name"],
            base_identity=labels["org.opencontainers.image.base.digest"],
            content=labels[CONTENT_LABEL],
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

"""An image that we write into a directory, as podman takes it: its id follows from its content.

Called by `building` and `bases` for engines that need not build. Layers that the engine has already
are named by their digests only, so what did not change is neither read nor written again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from stevedore_build.digests import sha256_of
from stevedore_build.drafts import draft_directory
from stevedore_build.images.engines import Engine
from stevedore_build.platforms import Platform
from stevedore_build.store import Store

__all__ = ["ImageDirectory", "ImageTar"]

_CREATED: Final = "1970-01-01T00:00:00Z"
_VERSION: Final = "Directory Transport Version: 1.1\n"

# Docker's formats and not OCI's, which have no place for a HEALTHCHECK.
_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIGURATION: Final = "application/vnd.docker.container.image.v1+json"
_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageTar:
    """A tar that becomes a layer, and the digest by which the image names it."""

    path: Path
    digest: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return a tar with the digest that it has now."""
        return cls(path=path, digest=f"sha256:{sha256_of(path)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageDirectory:
    """The image of `tars` on the layers `below`, which are digests: whoever loads it has those.

    `instructions` are a Containerfile's text, for the image's history.
    """

    instructions: str
    configuration: Mapping[str, Any]
    below: Sequence[str]
    tars: Sequence[ImageTar]
    platform: Platform

    def load(self, engine: Engine, *, store: Store) -> str:
        """Give an engine the image and return its id; it has no name. Raises `EngineFailed`."""
        with draft_directory(store.drafts) as place:
            identity = self.write(place)
            engine.load(place)
        return identity

    def write(self, place: Path) -> str:
        """Write the image into a directory and return its id. Tars are linked, not copied."""
        for tar in self.tars:
            (place / _file_name(tar.digest)).hardlink_to(tar.path)
        digests = [*self.below, *(tar.digest for tar in self.tars)]
        told = {
            "architecture": self.platform.architecture,
            "config": self.configuration,
            "created": _CREATED,
            "history": _history(self.instructions, len(self.below)),
            "os": "linux",
            "rootfs": {"diff_ids": digests, "type": "layers"},
        }
        content = json.dumps(told, sort_keys=True).encode()
        identity = f"sha256:{hashlib.sha256(content).hexdigest()}"
        (place / _file_name(identity)).write_bytes(content)
        # How large a layer below is, nobody asks: the engine takes its own.
        layers = [_entry(_LAYER, digest, 0) for digest in self.below]
        layers += [_entry(_LAYER, tar.digest, tar.path.stat().st_size) for tar in self.tars]
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _entry(_CONFIGURATION, identity, len(content)),
            "layers": layers,
        }
        (place / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        (place / "version").write_text(_VERSION, encoding="utf-8")
        return identity


def _history(instructions: str, below: int) -> list[dict[str, object]]:
    """Return an entry for each layer and each setting; those of layers are as many as layers."""
    beginning, *following = instructions.splitlines()
    entries: list[dict[str, object]] = [
        {"created": _CREATED, "created_by": beginning} for _ in range(below)
    ]
    for line in following:
        entry: dict[str, object] = {"created": _CREATED, "created_by": line}
        entries.append(entry if line.startswith("ADD ") else entry | {"empty_layer": True})
    return entries


def _entry(media_type: str, digest: str, size_bytes: int) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest, "size": size_bytes}


def _file_name(digest: str) -> str:
    return digest.removeprefix("sha256:")

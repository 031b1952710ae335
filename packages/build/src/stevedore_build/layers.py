"""What a lock turns into: directories named by the digest of what they were made from.

`layouts` puts them together for this machine, `images` makes one tar of each.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stevedore_build.platforms import Platform
from stevedore_build.store import Store
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = ["Layer", "layers_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One directory of a layout, complete and never changed again."""

    name: str
    digest: str
    """sha256 of what the layer was made from; equal digests mean equal files."""
    directory: Path
    target: PurePosixPath
    """Where the content of `directory` stands inside an image."""


def layers_of(
    manifest: Manifest,
    lock: Lock,
    *,
    store: Store,
    platform: Platform,
    libraries: AbstractSet[str],
) -> tuple[Layer, ...]:
    """Make the layers of a lock, in order from what changes least to what changes most.

    `libraries` are the shared libraries that the machine or the base image provides. Raises
    `LayerRefused` for what must not be served.
    """
    raise NotImplementedError

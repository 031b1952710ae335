"""What the wheels of models say of weights that are fetched, and where a layout has them.

`layouts.layers` lays them down, `inventory` lists them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stevedore_build.store import Store
from stevedore_build.weights.cache import fetch
from stevedore_build.wheels.building import stored_wheel
from stevedore_build.wheels.contents import fetched_by
from stevedore_core.fetched_files import FetchedFile, digest_of
from stevedore_core.lock import Lock, LockedModel

__all__ = ["ModelWeights", "fetch_weights", "weights_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelWeights:
    """The files that are fetched for one model of a lock."""

    model: LockedModel
    files: tuple[FetchedFile, ...]

    @property
    def place(self) -> str:
        """The directory of a layout that holds them: models with the same files share it."""
        return f"weights/{digest_of(self.files)}"


def weights_of(lock: Lock, *, store: Store) -> tuple[ModelWeights, ...]:
    """Return what is fetched for the models of a lock, in its order; most fetch nothing."""
    found = (
        ModelWeights(model=model, files=fetched_by(model.distribution, wheel))
        for model in lock.models
        if (wheel := stored_wheel(model, store=store))
    )
    return tuple(weights for weights in found if weights.files)


def fetch_weights(weights: Iterable[ModelWeights], *, store: Store) -> tuple[Path, ...]:
    """Have all files in the cache, and return where they are. Raises `FetchFailed`."""
    return tuple(
        fetch(file, model=one.model.name, store=store) for one in weights for file in one.files
    )

"""`Catalogue`: what this process serves. The names are fixed at start-up, from the lock.

Schemas, examples and creation times come from the worker that loads a model: the front imports
none.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from stevedore_api.group import WorkerGroup
from stevedore_core.errors import ModelNotReady, ModelUnknown
from stevedore_core.strict_json import Json

__all__ = ["Catalogue", "ServedModel"]


@dataclass(slots=True, kw_only=True)
class ServedModel:
    """One model: its place in the lock, its group, and what its worker said of it."""

    name: str
    version: str
    environment: str
    group: WorkerGroup
    number: int
    """Which of the group's models it is."""
    loaded: Mapping[str, Json] | None = None
    """What the worker said when it had loaded the model; None before."""

    def said(self, key: str) -> Json:
        """Return what the worker said under `created`, `predict_schema` and the like.

        Raises:
            ModelNotReady: No worker has loaded the model yet.
        """
        if self.loaded is None:
            raise ModelNotReady(f"model `{self.name}` is not loaded")
        return self.loaded[key]

    def entry(self) -> dict[str, Json]:
        """Return the catalogue entry; what only the worker knows is null until it is loaded."""
        loaded = self.loaded or {}
        keys = ("created", "predict_schema", "score_schema")
        return {
            "name": self.name,
            "version": self.version,
            "environment": self.environment,
            **{key: loaded.get(key) for key in keys},
        }


class Catalogue:
    """The models by name, in the order of the manifest."""

    def __init__(self) -> None:
        self._models: dict[str, ServedModel] = {}
        self._listeners: list[Callable[[str], None]] = []

    def add(self, model: ServedModel) -> None:
        """Add a model, while the server is put together."""
        self._models[model.name] = model

    def note_loaded(self, name: str, said: Mapping[str, Json]) -> None:
        """Keep what a worker said of a model that it has loaded, and tell the listeners."""
        self._models[name].loaded = said
        for listener in self._listeners:
            listener(name)

    def on_loaded(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with the name of every model that a worker loads."""
        self._listeners.append(listener)

    def __getitem__(self, name: str) -> ServedModel:
        """Return the model of that name. Raises `ModelUnknown`."""
        try:
            return self._models[name]
        except KeyError:
            raise ModelUnknown("no model of that name is served here; `/list` names all") from None

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    @property
    def names(self) -> list[str]:
        """The names, in the order of the manifest."""
        return list(self._models)

    @property
    def is_complete(self) -> bool:
        """True once every model was loaded at least once."""
        return all(model.loaded is not None for model in self)

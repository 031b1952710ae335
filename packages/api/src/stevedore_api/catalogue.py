"""`Catalogue`: what this process serves. The names are fixed at start-up, from the lock.

Schemas, examples and creation times come from the worker that loads a model: the front imports
none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stevedore_api.group import WorkerGroup
from stevedore_core.errors import ModelNotReady, ModelUnknown
from stevedore_core.strict_json import Json

__all__ = ["Catalogue", "ServedModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model: its place in the lock and in its group."""

    key: str
    """What reports call it: `iris`, or `iris@1.0.0` for a version that is not the default."""
    name: str
    version: str
    environment: str
    group: WorkerGroup
    number: int
    """Its place among the group's models, counted from 0."""

    @property
    def loaded(self) -> Mapping[str, Json] | None:
        """What a worker said when it had loaded the model; None before."""
        return self.group.said(self.number)

    def said(self, key: str) -> Json:
        """Return what the worker said under `created`, `predict_schema` and the like.

        Raises:
            ModelNotReady: No worker has loaded the model yet.
        """
        if (loaded := self.loaded) is None:
            raise ModelNotReady(f"model `{self.key}` is not loaded")
        return loaded[key]

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
    """The models in the order of the manifest, by name and version."""

    def __init__(self, models: Iterable[ServedModel]) -> None:
        self._models = tuple(models)
        self._versions: dict[str, list[ServedModel]] = {}
        for model in self._models:
            self._versions.setdefault(model.name, []).append(model)

    def __getitem__(self, name: str) -> ServedModel:
        """Return the default version of a model. Raises `ModelUnknown`."""
        return self.versions(name)[0]

    def versions(self, name: str) -> Sequence[ServedModel]:
        """Return the versions of a model, the default one first. Raises `ModelUnknown`."""
        try:
            return self._versions[name]
        except KeyError:
            raise ModelUnknown("no model of that name is served here; `/list` names all") from None

    def version(self, name: str, version: str) -> ServedModel:
        """Return one version of a model. Raises `ModelUnknown`."""
        for model in self.versions(name):
            if model.version == version:
                return model
        raise ModelUnknown(
            "the model is not served here at that version; `/models/<name>/versions` lists those "
            "that are"
        )

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models)

    @property
    def names(self) -> list[str]:
        """The names, in the order of the manifest."""
        return list(self._versions)

    @property
    def is_complete(self) -> bool:
        """True once every model was loaded at least once."""
        return all(model.loaded is not None for model in self)

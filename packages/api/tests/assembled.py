"""The front's parts put together in this process, with workers that a test scripts."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from stevedore_api.access_log import AccessLog
from stevedore_api.admission import Admission
from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.exposition import Exposition
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.metrics import Metrics
from stevedore_api.settings import Settings
from stevedore_core.frames import Frame, Kind
from stevedore_core.lock import Lock
from stevedore_core.strict_json import Json

__all__ = ["SILENT", "ScriptedGroup", "catalogue_of", "exposition_of", "frame_of"]

SILENT = AccessLog(lambda _: None)
"""Writes nothing."""


def frame_of(kind: Kind, body: Json) -> Frame:
    """Return a frame as a worker would send it."""
    return Frame(0, kind, 0, json.dumps(body).encode())


@dataclass
class ScriptedGroup:
    """Stands for a `WorkerGroup`: answers by `script`, which may raise."""

    script: Callable[[Kind], Frame]
    loaded: bool = True
    failure: str | None = None
    asked: list[Kind] = field(default_factory=list)
    heard: list[Mapping[str, Json] | None] = field(default_factory=list)
    """What workers said of its models."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once they said more."""

    async def until_loaded(self, number: int) -> None:
        """Wait unless a worker said something."""
        if self.heard[number] is None:
            await self.changed.wait()

    def said(self, number: int) -> Mapping[str, Json] | None:
        """Tell what a worker said."""
        return self.heard[number]

    def is_loaded(self, _: int) -> bool:
        """Tell what the test wants."""
        return self.loaded

    def load_failure(self, _: int) -> str | None:
        """Tell what the test wants."""
        return self.failure

    def submit(self, kind: Kind, _: int, body: bytes) -> asyncio.Future[Frame]:
        """Answer at once."""
        assert isinstance(body, bytes)
        return self.submit_own(kind, 0, limit_s=1)

    def submit_own(self, kind: Kind, _: int, *, limit_s: float) -> asyncio.Future[Frame]:
        """Answer at once."""
        assert limit_s > 0
        self.asked.append(kind)
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        answer.set_result(self.script(kind))
        return answer


def _silence(kind: Kind) -> Frame:
    raise AssertionError(f"nothing should ask for {kind}")


def catalogue_of(
    models: Mapping[str, Mapping[str, Json] | None],
    group: ScriptedGroup | None = None,
    *,
    version: str = "1.0.0",
) -> Catalogue:
    """Return a catalogue of models in one group; a model's value is what its worker said of it."""
    group = group or ScriptedGroup(_silence)
    group.heard = list(models.values())
    return Catalogue(
        ServedModel(
            key=name,
            name=name,
            version=version,
            environment="default",
            group=cast("WorkerGroup", group),
            number=number,
        )
        for number, name in enumerate(models)
    )


def exposition_of(catalogue: Catalogue) -> Exposition:
    """Return what shows the metrics of a front that has answered nothing yet."""
    lock = Lock(
        name="sample",
        version="1.0.0",
        python="3.11",
        manifest_sha256="0" * 64,
        base=None,
        environments=(),
        wheels=(),
        models=(),
    )
    return Exposition(
        metrics=Metrics(model.key for model in catalogue),
        groups=(),
        admission=Admission({}, 1),
        health=Health(catalogue, Settings.read({}), "all", {}),
        lock=lock,
    )

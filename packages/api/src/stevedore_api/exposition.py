"""`Exposition`: what `/metrics` shows, in Prometheus's words, put together when it is asked."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stevedore_api.admission import Admission
from stevedore_api.catalogue import Catalogue
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.memory import resident_bytes
from stevedore_api.metrics import Histogram, Metrics
from stevedore_core.lock import Lock

__all__ = ["MEDIA_TYPE", "Exposition"]

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_Row = tuple[Sequence[str], float]
"""The values of labels, and that of the metric."""


class Exposition(Collector):
    """Reads the parts of a running front."""

    def __init__(  # noqa: PLR0913  # what it reads
        self,
        *,
        metrics: Metrics,
        catalogue: Catalogue,
        groups: Sequence[WorkerGroup],
        admission: Admission,
        health: Health,
        lock: Lock,
    ) -> None:
        self._metrics = metrics
        self._catalogue = catalogue
        self._groups = groups
        self._admission = admission
        self._health = health
        self._lock = lock

    def text(self) -> bytes:
        """Return all metrics as Prometheus reads them."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Read the parts (called by prometheus_client)."""
        yield from self._requests()
        yield from self._workers()
        yield from self._models()
        yield from self._process()

    def _requests(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield _counter(
            "requests",
            "Requests that were answered.",
            ("model", "operation", "status"),
            (((*labels, str(status)), n) for (*labels, status), n in metrics.requests.items()),
        )
        yield _counter(
            "refusals",
            "Requests to predict or score that got a problem, by its code.",
            ("model", "reason"),
            metrics.refusals.items(),
        )
        models = metrics.models.items()
        yield _histogram(
            "request_seconds",
            "From the headers of a request to predict or score to its answer.",
            ((key, model.answered) for key, model in models),
        )
        yield _histogram(
            "queue_seconds",
            "How long a request to predict or score waited for a worker.",
            ((key, model.waited) for key, model in models),
        )
        yield _histogram(
            "model_seconds",
            "How long a worker took for a request to predict or score.",
            ((key, model.ran) for key, model in models),
        )
        yield _histogram(
            "batch_size",
            "How many requests to predict or score went to a worker at once.",
            ((key, model.batches) for key, model in models),
        )
        yield _gauge(
            "queued",
            "Requests that wait for a worker.",
            ("model",),
            (((key,), self._admission.queued(key)) for key in metrics.models),
        )

    def _workers(self) -> Iterator[Metric]:
        yield _gauge(
            "workers",
            "How many workers a group has when all are well, spare ones too.",
            ("group",),
            (((group.name,), len(group.slots)) for group in self._groups),
        )
        yield _counter(
            "worker_restarts",
            "Workers that were replaced, by what became of them.",
            ("group", "reason"),
            (
                ((group.name, reason), sum(slot.ends[reason] for slot in group.slots))
                for group in self._groups
                for reason in group.slots[0].ends
            ),
        )
        yield _gauge(
            "worker_resident_bytes",
            "Memory that a worker holds.",
            ("group", "worker"),
            (
                ((group.name, str(number)), held)
                for group in self._groups
                for number, slot in enumerate(group.slots, start=1)
                if slot.pid is not None and (held := resident_bytes(slot.pid)) is not None
            ),
        )

    def _models(self) -> Iterator[Metric]:
        health, keys = self._health, [model.key for model in self._catalogue]
        yield _gauge(
            "ready",
            "1 if a model is ready.",
            ("model",),
            (((key,), health.is_ready(key)) for key in keys),
        )
        tested = [(key, at) for key in keys if (at := health.tested_at(key)) is not None]
        yield _gauge(
            "self_test_passed",
            "1 if a model passed its last self-test.",
            ("model",),
            (((key,), health.is_passing(key)) for key, _ in tested),
        )
        now = time.monotonic()
        yield _gauge(
            "self_test_age_seconds",
            "How long ago the last self-test of a model ended.",
            ("model",),
            (((key,), now - at) for key, at in tested),
        )
        yield _gauge(
            "score",
            "What a model scored on its packaged examples.",
            ("model", "score", "direction"),
            (
                ((key, score.name, score.direction), score.value)
                for key in keys
                for score in health.latest_scores(key)
            ),
        )
        yield _gauge(
            "model_info",
            "Always 1: the version, environment and wheel of a model.",
            ("model", "name", "version", "environment", "sha256"),
            self._model_infos(),
        )

    def _model_infos(self) -> Iterator[_Row]:
        """Return the labels of each model; lock and catalogue have the same order."""
        for model, locked in zip(self._catalogue, self._lock.models, strict=True):
            yield (model.key, model.name, model.version, model.environment, locked.sha256), 1

    def _process(self) -> Iterator[Metric]:
        lock = self._lock
        yield _gauge(
            "composition_info",
            "Always 1: the composition and the digest of its lock.",
            ("name", "version", "lock_sha256"),
            [((lock.name, lock.version, lock.digest), 1)],
        )
        held = resident_bytes(os.getpid())
        yield _gauge(
            "front_resident_bytes",
            "Memory that the front holds.",
            (),
            [] if held is None else [((), held)],
        )
        yield _gauge(
            "uptime_seconds",
            "How long this process has served.",
            (),
            [((), self._health.uptime_s)],
        )


def _counter(name: str, text: str, labels: Sequence[str], rows: Iterable[_Row]) -> Metric:
    family = CounterMetricFamily(f"stevedore_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _gauge(name: str, text: str, labels: Sequence[str], rows: Iterable[_Row]) -> Metric:
    family = GaugeMetricFamily(f"stevedore_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _histogram(name: str, text: str, rows: Iterable[tuple[str, Histogram]]) -> Metric:
    family = HistogramMetricFamily(f"stevedore_{name}", text, labels=("model",))
    for model, histogram in rows:
        family.add_metric((model,), histogram.buckets(), histogram.total)
    return family

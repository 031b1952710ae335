"""`Exposition`: what `/metrics` shows, in Prometheus's words, put together when it is asked."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stevedore_api.admission import Admission
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.memory import resident_bytes
from stevedore_api.metrics import Histogram, Metrics
from stevedore_core.lock import Lock

__all__ = ["MEDIA_TYPE", "Exposition"]

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_Row = tuple[Sequence[str], float]
"""The values of labels, and that of the metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition(Collector):
    """Reads the parts of a running front."""

    metrics: Metrics
    groups: Sequence[WorkerGroup]
    admission: Admission
    health: Health
    lock: Lock

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
        yield _counter(
            "requests",
            "Requests that were answered.",
            ("model", "operation", "status"),
            (((*labels, str(status)), n) for (*labels, status), n in self.metrics.requests.items()),
        )
        yield _counter(
            "refusals",
            "Requests to predict or score that got a problem, by its code.",
            ("model", "reason"),
            self.metrics.refusals.items(),
        )
        models = self.metrics.models.items()
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
            (((key,), self.admission.queued(key)) for key, _ in models),
        )

    def _workers(self) -> Iterator[Metric]:
        yield _gauge(
            "workers",
            "How many workers a group has when all are well, spare ones too.",
            ("group",),
            (((group.name,), len(group.slots)) for group in self.groups),
        )
        yield _counter(
            "worker_restarts",
            "Workers that were replaced, by what became of them.",
            ("group", "reason"),
            (
                ((group.name, reason), sum(slot.ends[reason] for slot in group.slots))
                for group in self.groups
                for reason in group.slots[0].ends
            ),
        )
        yield _gauge(
            "worker_resident_bytes",
            "Memory that a worker holds.",
            ("group", "worker"),
            (
                ((group.name, str(number)), held)
                for group in self.groups
                for number, slot in enumerate(group.slots, start=1)
                if slot.pid is not None and (held := resident_bytes(slot.pid)) is not None
            ),
        )

    def _models(self) -> Iterator[Metric]:
        models = self.health.models
        yield _gauge(
            "ready",
            "1 if a model is ready.",
            ("model",),
            (((key,), self.health.is_ready(key)) for key in models),
        )
        tested = {key: at for key, model in models.items() if (at := model.tested_at) is not None}
        yield _gauge(
            "self_test_passed",
            "1 if a model passed its last self-test.",
            ("model",),
            (((key,), models[key].is_passing) for key in tested),
        )
        now = time.monotonic()
        yield _gauge(
            "self_test_age_seconds",
            "How long ago the last self-test of a model ended.",
            ("model",),
            (((key,), now - at) for key, at in tested.items()),
        )
        yield _gauge(
            "score",
            "What a model scored on its packaged examples.",
            ("model", "score", "direction"),
            (
                ((key, score.name, score.direction), score.value)
                for key, health in models.items()
                for score in health.scores
            ),
        )
        yield _gauge(
            "model_info",
            "Always 1: the version, environment and wheel of a model.",
            ("model", "name", "version", "environment", "sha256"),
            (
                ((key, model.name, model.version, model.environment, model.sha256), 1)
                for model, key in self.lock.keys.items()
            ),
        )

    def _process(self) -> Iterator[Metric]:
        lock = self.lock
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
            [((), self.health.uptime_s)],
        )


def _family(
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    text: str,
    labels: Sequence[str],
    rows: Iterable[_Row],
) -> Metric:
    family = kind(f"stevedore_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


_counter = partial(_family, CounterMetricFamily)
_gauge = partial(_family, GaugeMetricFamily)


def _histogram(name: str, text: str, rows: Iterable[tuple[str, Histogram]]) -> Metric:
    family = HistogramMetricFamily(f"stevedore_{name}", text, labels=("model",))
    for model, histogram in rows:
        family.add_metric((model,), histogram.buckets(), histogram.total)
    return family

"""`Metrics`: what is counted while requests are answered, in plain numbers.

Whoever answers or refuses a request counts it, `group` counts calls, and `exposition` reads it all
when somebody asks. No label ever holds what a caller made up: a model is one of the catalogue, a
reason one of a fixed table.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Histogram", "Metrics", "ModelMetrics"]

_MILLISECONDS = (0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
_SECONDS = tuple(bound / 1_000 for bound in _MILLISECONDS)
"""The upper bounds of durations."""
_CALLS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""The upper bounds of batches."""


class Histogram:
    """How many values were at most as large as each bound."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float] = _SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value in."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return each bound, the last of which is infinite, and how many values are within it."""
        within, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            within += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(within)))
        return buckets


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelMetrics:
    """The distributions of one model; durations are in seconds."""

    answered: Histogram = field(default_factory=Histogram)
    """From the request's headers to the answer."""
    waited: Histogram = field(default_factory=Histogram)
    """From admission to a worker."""
    ran: Histogram = field(default_factory=Histogram)
    """From a worker to its answer."""
    batches: Histogram = field(default_factory=lambda: Histogram(_CALLS))
    """How many calls a worker got at once."""


class Metrics:
    """Everything that is counted."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Take the keys that the catalogue has for its models."""
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By key, operation and status; the key is empty where a request names no model."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """By key and reason."""
        self.models = {key: ModelMetrics() for key in keys}

    def note_answer(
        self, operation: str, key: str | None, status: int, reason: str | None, seconds: float
    ) -> None:
        """Count an answer; `reason` is the code of the problem if it is one."""
        label = key or ""
        self.requests[label, operation, status] += 1
        if reason is not None:
            self.refusals[label, reason] += 1
        if key is not None:
            self.models[key].answered.observe(seconds)

    def note_batch(self, key: str, calls: int) -> None:
        """Count calls that went to a worker at once."""
        self.models[key].batches.observe(calls)

    def note_call(self, key: str, waited_s: float, ran_s: float | None) -> None:
        """Count a call that ended; `ran_s` is None if no worker got it."""
        metrics = self.models[key]
        metrics.waited.observe(waited_s)
        if ran_s is not None:
            metrics.ran.observe(ran_s)

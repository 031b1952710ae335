"""`Admission`: how much may wait. One for the whole process; every `WorkerGroup` asks it."""

from collections import Counter
from collections.abc import Mapping

from stevedore_core.errors import QueueFull

__all__ = ["Admission"]


class Admission:
    """How much may wait: so many calls for each model, so many bytes over all models."""

    def __init__(self, max_queued: Mapping[str, int], max_queued_bytes: int) -> None:
        """Take both bounds, the first for each model by its key."""
        self._max_queued = max_queued
        self._max_queued_bytes = max_queued_bytes
        self._queued: Counter[str] = Counter()
        self._queued_bytes = 0

    def enter(self, key: str, body_bytes: int) -> None:
        """Count a call in. Raises `QueueFull`."""
        max_queued = self._max_queued[key]
        if self._queued[key] >= max_queued:
            raise QueueFull(f"{max_queued} requests wait for the model already")
        if self._queued_bytes + body_bytes > self._max_queued_bytes:
            raise QueueFull(f"the requests that wait hold {self._queued_bytes} bytes already")
        self.enter_again(key, body_bytes)

    def enter_again(self, key: str, body_bytes: int) -> None:
        """Count a call in that was admitted before and lost its worker: it is never refused."""
        self._queued[key] += 1
        self._queued_bytes += body_bytes

    def queued(self, key: str) -> int:
        """Return how many calls wait for a model."""
        return self._queued[key]

    def leave(self, key: str, body_bytes: int) -> None:
        """Count a call out, which goes to a worker or will never run."""
        self._queued[key] -= 1
        self._queued_bytes -= body_bytes

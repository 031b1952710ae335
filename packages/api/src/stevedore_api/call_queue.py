"""`CallQueue`: the calls of one group that wait, and which of them go to a worker next.

Self-tests go first, unless the last one took its worker along. Then the models take turns; of the
model whose turn it is, everything that waits goes together if the model is batchable, up to a
number of calls and of bytes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stevedore_api.admission import Admission
from stevedore_api.settings import Settings
from stevedore_core.frames import Frame, Kind

__all__ = ["Call", "CallQueue"]

_BATCHED = frozenset({Kind.PREDICT, Kind.PREDICT_ENVELOPE})


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """One thing asked of a worker. Times are monotonic, in seconds."""

    kind: Kind
    number: int
    """Which of the group's models is asked, counted from 0."""
    body: bytes
    limit_s: float
    answer: asyncio.Future[Frame] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    admitted_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    """When a worker got it, the last time; None before."""
    is_own: bool = False
    """True if no caller sent it: then it is not counted as waiting."""
    is_waiting: bool = False
    goes_alone: bool = False
    """True once a worker was lost with it and others: it may be what the worker died of."""


class CallQueue:
    """What waits for the workers of one group."""

    def __init__(self, models: Mapping[str, Settings], admission: Admission) -> None:
        """Take the settings of each model, by its key."""
        self.batchable: set[int] = set()
        """The models whose calls may go together."""
        self.lets_callers_first = False
        """True once a self-test was lost with its worker, until what waits had a turn."""
        self._keys = tuple(models)
        self._settings = tuple(models.values())
        self._admission = admission
        self._self_tests: deque[Call] = deque()
        self._waiting: tuple[deque[Call], ...] = tuple(deque() for _ in models)
        self._turns: deque[int] = deque()
        """The models of which something waits, next one first."""

    def append(self, call: Call) -> None:
        """Add a call behind those of its model. Raises `QueueFull`, but not for our own calls."""
        if not call.is_own:
            self._admission.enter(self._keys[call.number], len(call.body))
            call.is_waiting = True
        if call.kind == Kind.SELF_TEST:
            self._self_tests.append(call)
            return
        waiting = self._waiting[call.number]
        if not waiting:
            self._turns.append(call.number)
        waiting.append(call)

    def put_back(self, calls: Sequence[Call]) -> None:
        """Add callers' calls ahead of all that wait, which were admitted before."""
        number = calls[0].number
        for call in calls:
            call.is_waiting = True
            self._admission.enter_again(self._keys[number], len(call.body))
        if self._waiting[number]:
            self._turns.remove(number)
        self._turns.appendleft(number)
        self._waiting[number].extendleft(reversed(calls))

    def take(self) -> list[Call]:
        """Return what a worker shall get next, which waits no more; nothing if nothing waits."""
        if self._self_tests and not (self.lets_callers_first and self._turns):
            return [self._self_tests.popleft()]
        if not self._turns:
            return []
        self.lets_callers_first = False
        number = self._turns.popleft()
        waiting = self._waiting[number]
        batch = [self._next(waiting)]
        if number in self.batchable and _is_batched(batch[0]):
            settings = self._settings[number]
            left_bytes = settings.max_batch_bytes - len(batch[0].body)
            while waiting and len(batch) < settings.max_batch and _is_batched(waiting[0]):
                left_bytes -= len(waiting[0].body)
                if left_bytes < 0:
                    break
                batch.append(self._next(waiting))
        if waiting:
            self._turns.append(number)
        return batch

    def drop(self, call: Call) -> None:
        """Take a caller's call that nobody waits for any more out, if it is there still."""
        if not call.is_waiting:
            return
        self._leave(call)
        waiting = self._waiting[call.number]
        waiting.remove(call)
        if not waiting:
            self._turns.remove(call.number)

    def _next(self, waiting: deque[Call]) -> Call:
        call = waiting.popleft()
        self._leave(call)
        return call

    def _leave(self, call: Call) -> None:
        if call.is_waiting:
            call.is_waiting = False
            self._admission.leave(self._keys[call.number], len(call.body))


def _is_batched(call: Call) -> bool:
    return call.kind in _BATCHED and not call.goes_alone

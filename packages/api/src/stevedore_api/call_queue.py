"""`CallQueue`: the calls of one group that wait, and which of them go to a worker next.

Self-tests go first, unless the last one took its worker along. Then the models take turns; of the
model whose turn it is, everything that waits goes together if the model is batchable, up to a
number of calls and of bytes.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from stevedore_api.admission import Admission
from stevedore_core.frames import Frame, Kind

__all__ = ["BatchLimits", "Call", "CallQueue"]

_BATCHED = frozenset({Kind.PREDICT, Kind.PREDICT_ENVELOPE})


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """One thing asked of a worker. Times are monotonic, in seconds."""

    kind: Kind
    model: int
    """Its number: its place among the group's models, counted from 0."""
    body: bytes
    limit_s: float
    answer: asyncio.Future[Frame]
    admitted_at: float
    started_at: float | None = None
    """When a worker got it, the last time; None before."""
    is_own: bool = False
    """True if no caller sent it: then it is not counted as waiting."""
    is_waiting: bool = False
    goes_alone: bool = False
    """True once a worker was lost with it and others: it may be what the worker died of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How much goes to a worker at once."""

    max_calls: int
    max_bytes: int


class CallQueue:
    """What waits for the workers of one group; each of its models has limits of its own."""

    def __init__(
        self, models: Sequence[str], admission: Admission, limits: Sequence[BatchLimits]
    ) -> None:
        self.batchable: set[int] = set()
        """The models whose calls may go together."""
        self.lets_callers_first = False
        """True once a self-test was lost with its worker, until what waits had a turn."""
        self._models = models
        self._admission = admission
        self._limits = limits
        self._self_tests: deque[Call] = deque()
        self._waiting: tuple[deque[Call], ...] = tuple(deque() for _ in models)
        self._turns: deque[int] = deque()
        """The models of which something waits, next one first."""

    def __bool__(self) -> bool:
        """Tell whether calls wait."""
        return bool(self._self_tests or self._turns)

    def append(self, call: Call) -> None:
        """Add a call behind those of its model. Raises `QueueFull`, but not for our own calls."""
        if not call.is_own:
            self._admission.enter(self._models[call.model], len(call.body))
            call.is_waiting = True
        if call.kind == Kind.SELF_TEST:
            self._self_tests.append(call)
            return
        waiting = self._waiting[call.model]
        if not waiting:
            self._turns.append(call.model)
        waiting.append(call)

    def put_back(self, calls: Sequence[Call]) -> None:
        """Add callers' calls ahead of all that wait, which were admitted before."""
        model = calls[0].model
        for call in calls:
            call.is_waiting = True
            self._admission.enter_again(self._models[model], len(call.body))
        if self._waiting[model]:
            self._turns.remove(model)
        self._turns.appendleft(model)
        self._waiting[model].extendleft(reversed(calls))

    def take(self) -> list[Call]:
        """Return what a worker shall get next, which waits no more; nothing if nothing waits."""
        if self._self_tests and not (self.lets_callers_first and self._turns):
            return [self._self_tests.popleft()]
        if not self._turns:
            return []
        self.lets_callers_first = False
        model = self._turns.popleft()
        waiting = self._waiting[model]
        batch = [self._next(waiting)]
        if model in self.batchable and _is_batched(batch[0]):
            limits = self._limits[model]
            left_bytes = limits.max_bytes - len(batch[0].body)
            while waiting and len(batch) < limits.max_calls and _is_batched(waiting[0]):
                left_bytes -= len(waiting[0].body)
                if left_bytes < 0:
                    break
                batch.append(self._next(waiting))
        if waiting:
            self._turns.append(model)
        return batch

    def drop(self, call: Call) -> None:
        """Take a caller's call that nobody waits for any more out, if it is there still."""
        if not call.is_waiting:
            return
        self._leave(call)
        waiting = self._waiting[call.model]
        waiting.remove(call)
        if not waiting:
            self._turns.remove(call.model)

    def _next(self, waiting: deque[Call]) -> Call:
        call = waiting.popleft()
        self._leave(call)
        return call

    def _leave(self, call: Call) -> None:
        if call.is_waiting:
            call.is_waiting = False
            self._admission.leave(self._models[call.model], len(call.body))


def _is_batched(call: Call) -> bool:
    return call.kind in _BATCHED and not call.goes_alone

"""`WorkerGroup`: the workers that serve the same models, and the calls that wait for them.

The hot path and health submit calls; nobody else talks to workers. A call waits until a worker is
free, goes to it with what else waits for a batchable model, and ends in an answer, a refusal or an
error:

* its *deadline* counts from admission: then the caller is told, and a call still queued never runs;
* its *limit* counts from the moment a worker gets it: then the worker is killed and replaced. What
  was lost with others runs once more, one by one.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from stevedore_api.admission import Admission
from stevedore_api.call_queue import Call, CallQueue
from stevedore_api.metrics import Metrics
from stevedore_api.settings import Settings
from stevedore_api.slots import SlotListeners, WorkerSlot
from stevedore_core.errors import DeadlinePassed, ModelNotReady, QueueFull
from stevedore_core.frames import Frame, Kind
from stevedore_core.strict_json import Json
from stevedore_core.worker_command import WorkerCommand

__all__ = ["WorkerGroup"]

_MOST_LOOKS = 3
"""How many turns of the event loop calls are gathered for, while each brings more."""


@dataclass(slots=True, kw_only=True)
class _Model:
    """What a group knows of one of its models."""

    key: str
    settings: Settings
    open: dict[Call, None] = field(default_factory=dict)
    """Callers' calls without an answer, oldest first: one deadline holds."""
    deadline: asyncio.TimerHandle | None = None
    """Set while calls are open, for the oldest of those that were open when it was set."""
    was_loaded: asyncio.Event = field(default_factory=asyncio.Event)
    said: Mapping[str, Json] | None = None
    load_failure: str | None = None
    last_loaded_at: float | None = None


class WorkerGroup:
    """The unit of isolation: what its models do, other groups do not notice."""

    def __init__(  # noqa: PLR0913  # its parts
        self,
        command: WorkerCommand,
        *,
        name: str,
        workers: int,
        settings: Settings,
        models: Mapping[str, Settings],
        admission: Admission,
        metrics: Metrics,
    ) -> None:
        """Take what starts a worker, how many there are, and what holds for each.

        `models` are the settings of each of the command's models, by the key that the catalogue has
        for it; `metrics` counts the calls of callers.
        """
        self.name = name
        self._settings = settings
        self._models = [_Model(key=key, settings=own) for key, own in models.items()]
        """In the order of their numbers."""
        self._metrics = metrics
        listeners = SlotListeners(
            on_loaded=self._note_loaded,
            on_load_failed=self._note_load_failed,
            on_free=self._dispatch_soon,
            on_end=self._note_end,
        )
        self.slots = [
            WorkerSlot(command, settings, listeners)
            for _ in range(workers + settings.spare_workers)
        ]
        self._workers = workers
        self._in_use = self.slots
        """The slots that get calls: not spare ones, nor ones that loaded nothing if others did."""
        self._queue = CallQueue(models, admission)
        self._is_dispatch_due = False
        self._has_arrived = False
        """True if a call came since the last look."""

    def start(self) -> None:
        """Start the workers; returns at once, see `until_loaded`."""
        for slot in self.slots:
            slot.start()

    def kill(self) -> None:
        """Kill all workers, from wherever: this process is about to end."""
        for slot in self.slots:
            slot.kill()

    async def stop(self) -> None:
        """Kill all workers and wait until they are reaped."""
        await asyncio.gather(*(slot.stop() for slot in self.slots))

    async def until_loaded(self, number: int) -> None:
        """Wait until a worker has loaded the model of this number, be it gone again."""
        await self._models[number].was_loaded.wait()

    def said(self, number: int) -> Mapping[str, Json] | None:
        """Return what a worker said of a model when it had loaded it; None before."""
        return self._models[number].said

    def load_failure(self, number: int) -> str | None:
        """Return the code of the error that kept a model from loading, if one did."""
        return self._models[number].load_failure

    def is_loaded(self, number: int) -> bool:
        """Tell whether a worker has a model, or had it until a moment ago."""
        if any(number in slot.loaded for slot in self.slots):
            return True
        model = self._models[number]
        if model.load_failure is not None or model.last_loaded_at is None:
            return False
        now = asyncio.get_running_loop().time()
        return now - model.last_loaded_at < self._settings.replace_grace_s

    @property
    def is_hopeless(self) -> bool:
        """True if no worker has loaded anything, however often it was tried."""
        return all(slot.failures >= self._settings.max_load_tries for slot in self.slots)

    @property
    def is_busy(self) -> bool:
        """True while callers' calls wait or run."""
        return any(model.open for model in self._models)

    def submit(self, kind: Kind, number: int, body: bytes) -> asyncio.Future[Frame]:
        """Queue a caller's call; the future ends in the worker's frame.

        Whoever ends the future takes its call out of the queue; one that runs is left to end.

        Args:
            kind: What is asked.
            number: Of which model, counted from 0.
            body: The request's body as it came.

        Raises:
            ModelNotReady: No worker has the model.
            QueueFull: Too much waits already.
            DeadlinePassed: (by the future) No answer came in time.
            WorkerDied: (by the future) The worker that ran the call is gone.
        """
        model = self._models[number]
        if not self.is_loaded(number):
            raise ModelNotReady(f"model `{model.key}` is not loaded")
        call = Call(kind=kind, number=number, body=body, limit_s=model.settings.call_limit_s)
        try:
            self._queue.append(call)
        except QueueFull:
            if not self._is_dispatch_due:
                raise
            self._dispatch()  # what a worker can take at once does not wait
            self._queue.append(call)
        model.open[call] = None
        self._has_arrived = True
        if model.deadline is None:
            self._set_deadline(model, call)
        call.answer.add_done_callback(partial(self._end, call))
        self._dispatch_soon()
        return call.answer

    def submit_own(self, kind: Kind, number: int, *, limit_s: float) -> asyncio.Future[Frame]:
        """Queue a call that no caller sent. Its only clock is its limit.

        A self-test goes ahead of all callers, but not right after one that took its worker along,
        for then no caller would ever be served. A score goes behind those that wait already.
        """
        call = Call(kind=kind, number=number, body=b"", limit_s=limit_s, is_own=True)
        self._queue.append(call)
        if kind == Kind.SELF_TEST:
            call.answer.add_done_callback(self._note_self_test)
        self._dispatch_soon()
        return call.answer

    def _dispatch_soon(self) -> None:
        """Dispatch once for all that comes in the next turns of the event loop: it may go together.

        Not a timer: a turn that brings nothing is the last, and takes some microseconds.
        """
        if not self._is_dispatch_due:
            self._is_dispatch_due = True
            asyncio.get_running_loop().call_soon(self._look, _MOST_LOOKS)

    def _look(self, left: int) -> None:
        if self._has_arrived and left:
            self._has_arrived = False
            asyncio.get_running_loop().call_soon(self._look, left - 1)
        else:
            self._dispatch()

    def _dispatch(self) -> None:
        """Give what waits to the workers that are free."""
        self._is_dispatch_due = False
        for slot in self._in_use:
            while slot.is_free:
                if not (batch := self._queue.take()):
                    return
                if calls := [call for call in batch if not call.answer.done()]:
                    slot.run(calls)
                    if not calls[0].is_own:
                        self._metrics.note_batch(self._models[calls[0].number].key, len(calls))

    def _choose_slots(self) -> None:
        """Have a spare worker take the place of one that is gone, and keep it."""
        kept = [slot for slot in self._in_use if slot.loaded]
        spare = [slot for slot in self.slots if slot.loaded and slot not in kept]
        self._in_use = [*kept, *spare][: self._workers] or self.slots

    def _end(self, call: Call, _: object) -> None:
        model = self._models[call.number]
        model.open.pop(call, None)
        self._queue.drop(call)
        now = time.monotonic()
        started = call.started_at
        waited_s = (started or now) - call.admitted_at
        ran_s = None if started is None else now - started
        self._metrics.note_call(model.key, waited_s, ran_s)

    def _note_self_test(self, answer: asyncio.Future[Frame]) -> None:
        if not answer.cancelled() and answer.exception() is not None:
            self._queue.lets_callers_first = True

    def _set_deadline(self, model: _Model, oldest: Call) -> None:
        at = oldest.admitted_at + model.settings.deadline_s
        model.deadline = asyncio.get_running_loop().call_at(at, self._expire, model, at)

    def _expire(self, model: _Model, now: float) -> None:
        """Tell a model's callers whose deadline passed, and wait for the next one."""
        model.deadline = None
        for call in list(model.open):
            if call.admitted_at + model.settings.deadline_s > now:
                self._set_deadline(model, call)
                return
            if not call.answer.done():
                call.answer.set_exception(DeadlinePassed("no answer came within the deadline"))

    def _note_loaded(self, number: int, said: Mapping[str, Json]) -> None:
        self._choose_slots()
        if said["batchable"]:
            self._queue.batchable.add(number)
        model = self._models[number]
        model.said, model.load_failure = said, None
        model.was_loaded.set()

    def _note_load_failed(self, number: int, code: str) -> None:
        self._models[number].load_failure = code

    def _note_end(self, had_loaded: frozenset[int], lost: Sequence[Call]) -> None:
        """Queue what was lost with a worker ahead of all: one by one, for one may be the reason."""
        for call in lost:
            call.goes_alone = True
        if lost:
            self._queue.put_back(lost)
        now = asyncio.get_running_loop().time()
        for number in had_loaded:
            self._models[number].last_loaded_at = now
        self._choose_slots()
        self._dispatch_soon()

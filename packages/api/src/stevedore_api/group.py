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
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from stevedore_api.admission import Admission
from stevedore_api.call_queue import BatchLimits, Call, CallQueue
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


class WorkerGroup:
    """The unit of isolation: what its models do, other groups do not notice."""

    def __init__(  # noqa: PLR0913  # its parts
        self,
        command: WorkerCommand,
        *,
        keys: Sequence[str] | None = None,
        workers: int,
        settings: Settings,
        settings_of: Sequence[Settings] | None = None,
        admission: Admission,
        on_loaded: Callable[[str, Mapping[str, Json]], None],
        metrics: Metrics | None = None,
        name: str = "default",
    ) -> None:
        """Take what starts a worker, how many there are, and whom to tell of a loaded model.

        `keys` are what the catalogue calls the command's models, if not by their names, and
        `settings_of` the settings of each, if they have any of their own. `metrics` counts the
        calls of callers; `name` is what it calls the group.
        """
        self.models: Sequence[str] = tuple(command.models if keys is None else keys)
        """Their keys, in the order of their numbers."""
        self._settings = settings
        self._settings_of = settings_of or [settings] * len(self.models)
        self._metrics = metrics if metrics is not None else Metrics(self.models)
        self.name = name
        self._on_loaded = on_loaded
        listeners = SlotListeners(
            on_loaded=self._note_loaded,
            on_load_failed=self._note_load_failed,
            on_free=self._dispatch_soon,
            on_lost=self._run_once_more,
            on_end=self._note_end,
        )
        self.slots = [
            WorkerSlot(
                command,
                load_limit_s=settings.load_limit_s,
                max_rss_bytes=settings.max_worker_rss_bytes,
                listeners=listeners,
            )
            for _ in range(workers + settings.spare_workers)
        ]
        self._workers = workers
        self._in_use = self.slots
        """The slots that get calls: not spare ones, nor ones that loaded nothing if others did."""
        limits = [
            BatchLimits(max_calls=own.max_batch, max_bytes=own.max_batch_bytes)
            for own in self._settings_of
        ]
        self._queue = CallQueue(self.models, admission, limits)
        self._open: Sequence[dict[Call, None]] = [{} for _ in self.models]
        """For each model, callers' calls without an answer, oldest first: one deadline holds."""
        self._deadlines: list[asyncio.TimerHandle | None] = [None for _ in self.models]
        """Set while calls are open, for the oldest of those that were open when it was set."""
        self._is_dispatch_due = False
        self._has_arrived = False
        """True if a call came since the last look."""
        self._load_failures: dict[int, str] = {}
        self._last_loaded_at: dict[int, float] = {}

    def start(self) -> None:
        """Start the workers; returns at once, `on_loaded` tells of each model."""
        for slot in self.slots:
            slot.start()

    def kill(self) -> None:
        """Kill all workers, from wherever: this process is about to end."""
        for slot in self.slots:
            slot.kill()

    async def stop(self) -> None:
        """Kill all workers and wait until they are reaped."""
        await asyncio.gather(*(slot.stop() for slot in self.slots))

    def load_failure(self, model: str) -> str | None:
        """Return the code of the error that kept the model of this key from loading, if one did."""
        return self._load_failures.get(self.models.index(model))

    def is_loaded(self, model: str) -> bool:
        """Tell whether a worker has the model of this key, or had it until a moment ago."""
        return self._is_loaded(self.models.index(model))

    @property
    def is_hopeless(self) -> bool:
        """True if no worker has loaded anything, however often it was tried."""
        return all(slot.failures >= self._settings.max_load_tries for slot in self.slots)

    @property
    def is_busy(self) -> bool:
        """True while callers' calls wait or run."""
        return any(self._open)

    def submit(self, kind: Kind, model: int, body: bytes) -> asyncio.Future[Frame]:
        """Queue a caller's call; the future ends in the worker's frame.

        Whoever ends the future takes its call out of the queue; one that runs is left to end.

        Args:
            kind: What is asked.
            model: The model's number: its place in `models`, counted from 0.
            body: The request's body as it came.

        Raises:
            ModelNotReady: No worker has the model.
            QueueFull: Too much waits already.
            DeadlinePassed: (by the future) No answer came in time.
            WorkerDied: (by the future) The worker that ran the call is gone.
        """
        if not self._is_loaded(model):
            raise ModelNotReady(f"model `{self.models[model]}` is not loaded")
        call = _call(kind, model, body, self._settings_of[model].call_limit_s)
        try:
            self._queue.append(call)
        except QueueFull:
            if not self._is_dispatch_due:
                raise
            self._dispatch()  # what a worker can take at once does not wait
            self._queue.append(call)
        self._open[model][call] = None
        self._has_arrived = True
        if self._deadlines[model] is None:
            self._set_deadline(call)
        call.answer.add_done_callback(partial(self._end, call))
        self._dispatch_soon()
        return call.answer

    def submit_own(self, kind: Kind, model: int, *, limit_s: float) -> asyncio.Future[Frame]:
        """Queue a call that no caller sent. Its only clock is its limit.

        A self-test goes ahead of all callers, but not right after one that took its worker along,
        for then no caller would ever be served. A score goes behind those that wait already.
        """
        call = _call(kind, model, b"", limit_s)
        call.is_own = True
        self._queue.append(call)
        if kind == Kind.SELF_TEST:
            call.answer.add_done_callback(self._note_self_test)
        self._dispatch_soon()
        return call.answer

    def _is_loaded(self, model: int) -> bool:
        if any(model in slot.loaded for slot in self.slots):
            return True
        if model in self._load_failures:
            return False
        last = self._last_loaded_at.get(model)
        now = asyncio.get_running_loop().time()
        return last is not None and now - last < self._settings.replace_grace_s

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
                        self._metrics.note_batch(self.models[calls[0].model], len(calls))

    def _choose_slots(self) -> None:
        """Have a spare worker take the place of one that is gone, and keep it."""
        kept = [slot for slot in self._in_use if slot.loaded]
        spare = [slot for slot in self.slots if slot.loaded and slot not in kept]
        self._in_use = [*kept, *spare][: self._workers] or self.slots

    def _run_once_more(self, calls: Sequence[Call]) -> None:
        """Queue what was lost with a worker ahead of all: one by one, for one may be the reason."""
        for call in calls:
            call.goes_alone = True
        if calls:
            self._queue.put_back(calls)

    def _end(self, call: Call, _: object) -> None:
        self._open[call.model].pop(call, None)
        self._queue.drop(call)
        now = time.monotonic()
        started = call.started_at
        waited_s = (started or now) - call.admitted_at
        ran_s = None if started is None else now - started
        self._metrics.note_call(self.models[call.model], waited_s, ran_s)

    def _note_self_test(self, answer: asyncio.Future[Frame]) -> None:
        if not answer.cancelled() and answer.exception() is not None:
            self._queue.lets_callers_first = True

    def _set_deadline(self, oldest: Call) -> None:
        loop = asyncio.get_running_loop()
        at = oldest.admitted_at + self._settings_of[oldest.model].deadline_s
        self._deadlines[oldest.model] = loop.call_at(at, self._expire, oldest.model, at)

    def _expire(self, model: int, now: float) -> None:
        """Tell a model's callers whose deadline passed, and wait for the next one."""
        self._deadlines[model] = None
        for call in list(self._open[model]):
            if call.admitted_at + self._settings_of[model].deadline_s > now:
                self._set_deadline(call)
                return
            if not call.answer.done():
                call.answer.set_exception(DeadlinePassed("no answer came within the deadline"))

    def _note_loaded(self, model: int, said: Mapping[str, Json]) -> None:
        self._choose_slots()
        self._load_failures.pop(model, None)
        if said["batchable"]:
            self._queue.batchable.add(model)
        self._on_loaded(self.models[model], said)

    def _note_load_failed(self, model: int, code: str) -> None:
        self._load_failures[model] = code

    def _note_end(self, had_loaded: frozenset[int]) -> None:
        now = asyncio.get_running_loop().time()
        self._last_loaded_at.update(dict.fromkeys(had_loaded, now))
        self._choose_slots()
        self._dispatch_soon()


def _call(kind: Kind, model: int, body: bytes, limit_s: float) -> Call:
    loop = asyncio.get_running_loop()
    return Call(
        kind=kind,
        model=model,
        body=body,
        limit_s=limit_s,
        answer=loop.create_future(),
        admitted_at=time.monotonic(),
    )

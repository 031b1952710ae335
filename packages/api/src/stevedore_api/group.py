"""`WorkerGroup`: the workers that serve the same models, and the calls that wait for them.

The hot path and health submit calls; nobody else talks to workers. A call waits until a
worker is free, goes to it alone, and ends in an answer, a refusal or an error:

* its *deadline* counts from admission: then the caller is told, and a call still queued never runs;
* its *limit* counts from the moment a worker gets it: then the worker is killed and replaced.
"""

import asyncio
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from stevedore_api.settings import Settings
from stevedore_api.worker_process import WorkerCommand, WorkerProcess
from stevedore_core.errors import DeadlinePassed, ModelNotReady, QueueFull, WorkerDied
from stevedore_core.frames import Frame, Kind
from stevedore_core.strict_json import Json

__all__ = ["Admission", "WorkerGroup"]

_log = logging.getLogger(__name__)

_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 10.0
_MOST_DOUBLINGS = 7
"""After so many the longest is reached; 2 to the power of every death would overflow a float."""


class Admission:
    """How much may wait: so many calls for each model, so many bytes over all models."""

    def __init__(self, max_queued: int, max_queued_bytes: int) -> None:
        self._max_queued = max_queued
        self._max_queued_bytes = max_queued_bytes
        self._queued: Counter[str] = Counter()
        self._queued_bytes = 0

    def enter(self, model: str, body_bytes: int) -> None:
        """Count a call in. Raises `QueueFull`."""
        if self._queued[model] >= self._max_queued:
            raise QueueFull(f"{self._max_queued} requests wait for the model already")
        if self._queued_bytes + body_bytes > self._max_queued_bytes:
            raise QueueFull(f"the requests that wait hold {self._queued_bytes} bytes already")
        self._queued[model] += 1
        self._queued_bytes += body_bytes

    def leave(self, model: str, body_bytes: int) -> None:
        """Count a call out, which goes to a worker or will never run."""
        self._queued[model] -= 1
        self._queued_bytes -= body_bytes


@dataclass(slots=True, eq=False, kw_only=True)
class _Call:
    kind: Kind
    model: int
    body: bytes
    limit_s: float
    answer: asyncio.Future[Frame]
    admitted: bool = False
    """True while the call counts as waiting."""


@dataclass(slots=True, eq=False)
class _Slot:
    """The place of one worker, which outlives the worker that stands in it."""

    process: WorkerProcess | None = None
    loaded: set[int] = field(default_factory=set)
    reported: int = 0
    call: _Call | None = None
    timer: asyncio.TimerHandle | None = None
    overran: bool = False
    deaths: int = 0


class WorkerGroup:
    """The unit of isolation: what its models do, other groups do not notice."""

    def __init__(  # noqa: PLR0913  # its parts
        self,
        command: WorkerCommand,
        *,
        keys: Sequence[str] | None = None,
        workers: int,
        settings: Settings,
        admission: Admission,
        on_loaded: Callable[[str, Mapping[str, Json]], None],
    ) -> None:
        """Take what starts a worker, how many there are, and whom to tell of a loaded model.

        `keys` are what the catalogue calls the command's models, if not by their names.
        """
        self.models: Sequence[str] = tuple(command.models if keys is None else keys)
        self._command = command
        self._settings = settings
        self._admission = admission
        self._on_loaded = on_loaded
        self._slots = [_Slot() for _ in range(workers)]
        self._self_tests: deque[_Call] = deque()
        self._queue: deque[_Call] = deque()
        self._load_failures: dict[int, str] = {}
        self._last_loaded_at: dict[int, float] = {}
        self._stopping = False
        self._background: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start the workers; returns at once, `on_loaded` tells of each model."""
        for slot in self._slots:
            self._spawn(self._start(slot, 0.0))

    async def stop(self) -> None:
        """Kill all workers and wait until they are reaped."""
        self._stopping = True
        for task in self._background:
            task.cancel()
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            process.kill()
        await asyncio.gather(*(process.wait() for process in running))

    def load_failure(self, model: str) -> str | None:
        """Return the code of the error that kept `model` from loading, if one did."""
        return self._load_failures.get(self.models.index(model))

    def is_loaded(self, model: str) -> bool:
        """Tell whether a worker has `model`, or had it so lately that its replacement may come."""
        return self._is_loaded(self.models.index(model))

    @property
    def has_queue(self) -> bool:
        """True while calls wait. Right after `submit`: the call that it queued waits too."""
        return bool(self._queue)

    def submit(self, kind: Kind, model: int, body: bytes) -> asyncio.Future[Frame]:
        """Queue a caller's call; the future ends in the worker's frame.

        Whoever ends the future takes its call out of the queue; one that runs is left to end.

        Args:
            kind: What is asked.
            model: Which of `models`, counted from 0.
            body: The request's body as it came.

        Raises:
            ModelNotReady: No worker has the model.
            QueueFull: Too much waits already.
            DeadlinePassed: (by the future) No answer came in time.
            WorkerDied: (by the future) The worker that ran the call is gone.
        """
        name = self.models[model]
        if not self._is_loaded(model):
            raise ModelNotReady(f"model `{name}` is not loaded")
        self._admission.enter(name, len(body))
        loop = asyncio.get_running_loop()
        call = _Call(
            kind=kind,
            model=model,
            body=body,
            limit_s=self._settings.call_limit_s,
            answer=loop.create_future(),
            admitted=True,
        )
        timer = loop.call_later(self._settings.deadline_s, self._expire, call)
        call.answer.add_done_callback(lambda _: self._end(call, timer))
        self._queue.append(call)
        self._dispatch()
        return call.answer

    def submit_own(self, kind: Kind, model: int, *, limit_s: float) -> asyncio.Future[Frame]:
        """Queue a call that no caller sent. Its only clock is its limit.

        A self-test goes ahead of all callers, a score behind those that wait already.
        """
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        call = _Call(kind=kind, model=model, body=b"", limit_s=limit_s, answer=answer)
        (self._self_tests if kind == Kind.SELF_TEST else self._queue).append(call)
        self._dispatch()
        return answer

    def _is_loaded(self, model: int) -> bool:
        if any(model in slot.loaded for slot in self._slots):
            return True
        if model in self._load_failures:
            return False
        last = self._last_loaded_at.get(model)
        now = asyncio.get_running_loop().time()
        return last is not None and now - last < self._settings.replace_grace_s

    def _dispatch(self) -> None:
        """Give what waits to the workers that are free."""
        for slot in self._slots:
            while slot.call is None and self._is_usable(slot):
                if not (waiting := self._self_tests or self._queue):
                    return
                self._give(slot, waiting.popleft())

    def _give(self, slot: _Slot, call: _Call) -> None:
        self._leave_queue(call)
        if call.answer.done():  # nobody waits for it any more
            return
        slot.call = call
        loop = asyncio.get_running_loop()
        slot.timer = loop.call_later(call.limit_s, self._overrun, slot)
        assert slot.process is not None  # noqa: S101  # a slot that reported has one
        slot.process.send(Frame(0, call.kind, call.model, call.body))

    def _is_usable(self, slot: _Slot) -> bool:
        """Tell whether a worker may get calls: one that loaded nothing, only if none did better."""
        return self._has_reported(slot) and (
            bool(slot.loaded) or not any(other.loaded for other in self._slots)
        )

    def _has_reported(self, slot: _Slot) -> bool:
        return slot.reported == len(self.models)

    def _leave_queue(self, call: _Call) -> None:
        if call.admitted:
            call.admitted = False
            self._admission.leave(self.models[call.model], len(call.body))

    def _end(self, call: _Call, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._drop(call)

    def _expire(self, call: _Call) -> None:
        self._drop(call)
        if not call.answer.done():
            call.answer.set_exception(DeadlinePassed("no answer came within the deadline"))

    def _drop(self, call: _Call) -> None:
        """Take a call that nobody waits for any more out of the queue, if it is there still."""
        if call.admitted:
            self._leave_queue(call)
            self._queue.remove(call)

    def _overrun(self, slot: _Slot) -> None:
        assert slot.process is not None  # noqa: S101  # only a running worker has a timer
        _log.error("worker %s of %s ran over its limit", slot.process.pid, list(self.models))
        slot.overran = True
        slot.process.kill()

    def _receive(self, slot: _Slot, frame: Frame) -> None:
        if frame.kind in {Kind.LOADED, Kind.LOAD_FAILED}:
            self._report(slot, frame)
        elif slot.call is not None:
            call, slot.call = slot.call, None
            self._stop_timer(slot)
            slot.deaths = 0
            if not call.answer.done():
                call.answer.set_result(frame)
        self._dispatch()

    def _report(self, slot: _Slot, frame: Frame) -> None:
        """Note that a worker loaded a model, or could not."""
        slot.reported += 1
        if self._has_reported(slot):
            self._stop_timer(slot)
        entry = orjson.loads(frame.body)
        if frame.kind == Kind.LOAD_FAILED:
            self._load_failures[frame.model] = entry["code"]
            return
        slot.loaded.add(frame.model)
        self._load_failures.pop(frame.model, None)
        self._on_loaded(self.models[frame.model], entry)

    async def _start(self, slot: _Slot, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        loop = asyncio.get_running_loop()
        process = WorkerProcess(
            on_frame=lambda frame: self._receive(slot, frame),
            on_end=lambda: self._ended(slot),
        )
        slot.process = process
        slot.timer = loop.call_later(self._settings.load_limit_s, self._overrun, slot)
        try:
            await process.start(self._command, os.environ)
        except OSError:  # no more processes or file descriptors: later there may be
            _log.exception("no worker of %s can be started", list(self.models))
            self._ended(slot)

    def _ended(self, slot: _Slot) -> None:
        """Tell the caller whose call was lost, and put a new worker in the slot."""
        self._stop_timer(slot)
        call, slot.call = slot.call, None
        if call is not None and not call.answer.done():
            if slot.overran:
                call.answer.set_exception(DeadlinePassed("the model ran over its limit"))
            else:
                call.answer.set_exception(WorkerDied("the worker died while it ran the model"))
        now = asyncio.get_running_loop().time()
        self._last_loaded_at.update(dict.fromkeys(slot.loaded, now))
        slot.loaded.clear()
        slot.reported = 0
        slot.overran = False
        if self._stopping:
            return
        self._spawn(self._replace(slot, _backoff_s(slot.deaths)))
        slot.deaths += 1

    async def _replace(self, slot: _Slot, delay_s: float) -> None:
        assert slot.process is not None  # noqa: S101  # it ended
        status = await slot.process.wait()
        _log.warning("a worker of %s ended with status %d", list(self.models), status)
        await self._start(slot, delay_s)

    def _stop_timer(self, slot: _Slot) -> None:
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _backoff_s(deaths: int) -> float:
    """Return how long to wait after so many deaths in a row: not at all, 0.2 s, 0.4 s, … 10 s."""
    if not deaths:
        return 0.0
    return min(_FIRST_BACKOFF_S * 2.0 ** min(deaths, _MOST_DOUBLINGS), _LONGEST_BACKOFF_S)

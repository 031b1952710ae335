"""`WorkerSlot`: the place of one worker, which outlives the worker that stands in it.

A slot starts its worker, hears what it loaded, has it run a batch of calls under a limit, and puts
another worker in the place of one that died, ever later the more die in a row. `group` is the only
caller.
"""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson

from stevedore_api.call_queue import Call
from stevedore_api.memory import resident_bytes
from stevedore_api.settings import Settings
from stevedore_api.worker_process import WorkerProcess
from stevedore_core.errors import DeadlinePassed, WorkerDied
from stevedore_core.frames import Frame, Kind
from stevedore_core.strict_json import Json
from stevedore_core.worker_command import WorkerCommand

__all__ = ["SlotListeners", "WorkerSlot"]

_log = logging.getLogger(__name__)

_REPORTS = frozenset({Kind.LOADED, Kind.LOAD_FAILED})
_START_AGAIN_S = (0.0, 0.5, 2.0, 8.0, 20.0)
"""How long to wait with the replacement of a worker that died, the more died before it in a row."""
_LOAD_AGAIN_S = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""How long to wait with a model that could not be loaded, the more often in a row it could not."""
_BUSY_S = 0.5
"""When to look again whether a worker is free to load what it could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotListeners:
    """What a slot tells its group."""

    on_loaded: Callable[[int, Mapping[str, Json]], None]
    """The worker loaded the model of this number, and says this of it."""
    on_load_failed: Callable[[int, str], None]
    """The worker could not load the model of this number; the code says why."""
    on_free: Callable[[], None]
    """The worker may be able to take a call."""
    on_end: Callable[[frozenset[int], Sequence[Call]], None]
    """The worker, which had loaded these models, is gone with these calls, which may run again."""


class WorkerSlot:
    """The place of one worker."""

    def __init__(
        self, command: WorkerCommand, settings: Settings, listeners: SlotListeners
    ) -> None:
        """Take what starts a worker, its limits, and whom to tell of what."""
        self.loaded: set[int] = set()
        """The numbers of the models that the worker has loaded."""
        self._command = command
        self._load_limit_s = settings.load_limit_s
        self._max_rss_bytes = settings.max_worker_rss_bytes
        """0: no limit."""
        self._listeners = listeners
        self.ends: Counter[str] = Counter(died=0, overran=0, recycled=0)
        """How many workers ended here, by the reason."""
        self._process: WorkerProcess | None = None
        self._reported: set[int] = set()
        """The models of which the worker has said whether it loaded them."""
        self._load_failures: Counter[int] = Counter()
        """How often in a row loading failed, by model."""
        self._load_timers: list[asyncio.TimerHandle] = []
        self._calls: Sequence[Call] = ()
        """What the worker was given, in the order in which it answers."""
        self._answered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._end_reason = "died"
        """What the end of the worker will count as."""
        self._deaths = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        """Starts the worker, or the next one."""

    def start(self) -> None:
        """Start the worker; returns at once, the listeners hear of the rest."""
        self._task = asyncio.get_running_loop().create_task(self._start(0.0))

    def kill(self) -> None:
        """Kill the worker, from wherever: nobody will be told."""
        if (pid := self.pid) is not None:
            with suppress(OSError):  # it is gone already
                os.killpg(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Kill the worker and wait until it is reaped; no other follows."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int | None:
        """The process id of the worker, if there is one."""
        return self._process.pid if self._process else None

    @property
    def is_free(self) -> bool:
        """True if the worker runs nothing and has said of every model whether it loaded."""
        return not self._calls and self._has_reported and self._end_reason != "recycled"

    @property
    def failures(self) -> int:
        """How often in a row nothing could be loaded here."""
        if self.loaded:
            return 0
        return max(self._deaths, min(self._load_failures.values(), default=0))

    def run(self, calls: Sequence[Call]) -> None:
        """Give the worker, which is free, calls for one model: one write, and one limit for all."""
        assert self._process is not None  # noqa: S101  # a worker that reported is there
        loop = asyncio.get_running_loop()
        now = time.monotonic()  # uvloop's clock has whole milliseconds
        for call in calls:
            call.started_at = now
        self._calls, self._answered = calls, 0
        self._timer = loop.call_later(calls[0].limit_s, self._overrun)
        last = len(calls) - 1
        self._process.send(
            [Frame(last - n, call.kind, call.number, call.body) for n, call in enumerate(calls)]
        )

    @property
    def _has_reported(self) -> bool:
        return len(self._reported) == len(self._command.models)

    async def _start(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        loop = asyncio.get_running_loop()
        self._process = WorkerProcess(on_frames=self._receive, on_end=self._ended)
        self._timer = loop.call_later(self._load_limit_s, self._overrun)
        try:
            await self._process.start(self._command, os.environ)
        except Exception:  # noqa: BLE001  # no more processes, say: later there may be
            _log.exception("no worker of %s can be started", self._command.models)
            self._ended()

    def _receive(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if frame.kind in _REPORTS:
                self._report(frame)
            elif self._answered < len(self._calls):
                call = self._calls[self._answered]
                self._answered += 1
                if not call.answer.done():
                    call.answer.set_result(frame)
        if self._calls and self._answered == len(self._calls):
            self._calls = ()
            self._stop_timer()
            self._deaths = 0
            if self._max_rss_bytes:
                self._recycle_if_large()
        self._listeners.on_free()

    def _report(self, frame: Frame) -> None:
        """Note that the worker loaded a model, or could not."""
        self._reported.add(frame.model)
        if self._has_reported:
            self._stop_timer()
            self._refuse_limit_that_is_too_low()
        entry = orjson.loads(frame.body)
        if frame.kind == Kind.LOAD_FAILED:
            self._listeners.on_load_failed(frame.model, entry["code"])
            delay_s = _wait_s(_LOAD_AGAIN_S, self._load_failures[frame.model])
            self._load_failures[frame.model] += 1
            self._load_later(delay_s, frame.model)
            return
        del self._load_failures[frame.model]
        self.loaded.add(frame.model)
        self._listeners.on_loaded(frame.model, entry)

    def _load_later(self, delay_s: float, number: int) -> None:
        loop = asyncio.get_running_loop()
        self._load_timers.append(loop.call_later(delay_s, self._load_again, number))

    def _load_again(self, number: int) -> None:
        """Have the worker, once it is free, try again to load a model; this has the same limit."""
        if not self.is_free:
            self._load_later(_BUSY_S, number)
            return
        assert self._process is not None  # noqa: S101  # a worker that reported is there
        self._reported.discard(number)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._load_limit_s, self._overrun)
        self._process.send([Frame(0, Kind.LOAD, number, b"")])

    def _refuse_limit_that_is_too_low(self) -> None:
        """Leave a worker alone that needs more than its limit before it did anything."""
        if self._max_rss_bytes and (held := self._rss_bytes()) > self._max_rss_bytes:
            _log.error(
                "a worker of %s holds %d bytes once it is loaded: `max_worker_rss_bytes` is too "
                "low for its models, and is not held",
                self._command.models,
                held,
            )
            self._max_rss_bytes = 0

    def _recycle_if_large(self) -> None:
        """End a worker that holds too much, between two calls: another comes in its place."""
        held = self._rss_bytes()
        if held > self._max_rss_bytes:
            _log.warning("worker %s holds %d bytes and is replaced", self.pid, held)
            assert self._process is not None  # noqa: S101  # it answered just now
            self._end_reason = "recycled"
            self._process.kill()

    def _rss_bytes(self) -> int:
        return (self.pid and resident_bytes(self.pid)) or 0

    def _overrun(self) -> None:
        assert self._process is not None  # noqa: S101  # only a worker has a timer
        _log.error("worker %s of %s ran over its limit", self._process.pid, self._command.models)
        self._end_reason = "overran"
        self._process.kill()

    def _ended(self) -> None:
        """Deal with the calls that were lost, and put a new worker in the slot."""
        self._stop_timer()
        for timer in self._load_timers:
            timer.cancel()
        self._load_timers.clear()
        lost = [call for call in self._calls[self._answered :] if not call.answer.done()]
        if lost and len(self._calls) == 1:  # nothing else can be what the worker died of
            lost.pop().answer.set_exception(
                DeadlinePassed("the model ran over its limit")
                if self._end_reason == "overran"
                else WorkerDied("the worker died while it ran the model")
            )
        self._calls = ()
        self.ends[self._end_reason] += not self._stopping
        had_loaded = frozenset(self.loaded)
        self.loaded.clear()
        self._reported.clear()
        self._end_reason = "died"
        self._listeners.on_end(had_loaded, lost)
        if self._stopping:
            return
        replacing = self._replace(_wait_s(_START_AGAIN_S, self._deaths))
        self._task = asyncio.get_running_loop().create_task(replacing)
        self._deaths += 1

    async def _replace(self, delay_s: float) -> None:
        assert self._process is not None  # noqa: S101  # it ended
        status = await self._process.wait()
        _log.warning("a worker of %s ended with status %d", self._command.models, status)
        await self._start(delay_s)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _wait_s(waits_s: Sequence[float], failures: int) -> float:
    """Return how long to wait after so many earlier failures; the last wait holds for all more."""
    return waits_s[min(failures, len(waits_s) - 1)]

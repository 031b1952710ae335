"""Whom a group gives what, and when it tells whom: with slots that a test scripts, no process."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from stevedore_api.admission import Admission
from stevedore_api.call_queue import Call
from stevedore_api.group import WorkerGroup
from stevedore_api.metrics import Metrics
from stevedore_api.settings import Settings
from stevedore_api.slots import SlotListeners, WorkerSlot
from stevedore_core.errors import DeadlinePassed, ModelNotReady, QueueFull
from stevedore_core.frames import Frame, Kind
from stevedore_core.worker_command import WorkerCommand

ANSWER = Frame(0, Kind.ANSWER, 0, b"1")


class StubSlot:
    """Stands for a `WorkerSlot`: takes calls, and does what a test tells it to."""

    def __init__(self, listeners: SlotListeners) -> None:
        self.loaded: set[int] = set()
        self.failures = 0
        self.batches: list[Sequence[Call]] = []
        self.told: list[str] = []
        self._listeners = listeners
        self._calls: Sequence[Call] = ()

    @property
    def is_free(self) -> bool:
        """True if it has a model and runs nothing."""
        return bool(self.loaded) and not self._calls

    @property
    def bodies(self) -> list[list[bytes]]:
        """The bodies of each batch that it got."""
        return [[call.body for call in batch] for batch in self.batches]

    def start(self) -> None:
        """Note it."""
        self.told.append("start")

    def kill(self) -> None:
        """Note it."""
        self.told.append("kill")

    async def stop(self) -> None:
        """Note it."""
        self.told.append("stop")

    def run(self, calls: Sequence[Call]) -> None:
        """Keep the calls."""
        assert self.is_free
        for call in calls:
            call.started_at = time.monotonic()
        self._calls = calls
        self.batches.append(calls)

    def load(self, *numbers: int, batchable: bool = False) -> None:
        """Tell of loaded models."""
        for number in numbers or (0,):
            self.loaded.add(number)
            self._listeners.on_loaded(number, {"batchable": batchable})
        self._listeners.on_free()

    def fail_to_load(self, number: int = 0) -> None:
        """Tell of a model that could not be loaded."""
        self._listeners.on_load_failed(number, "model-broken")

    def answer(self) -> None:
        """Answer what it was given."""
        for call in self._calls:
            if not call.answer.done():
                call.answer.set_result(ANSWER)
        self._calls = ()
        self._listeners.on_free()

    def die(self) -> None:
        """End, with what it was given."""
        lost, had_loaded = self._calls, frozenset(self.loaded)
        self.loaded.clear()
        self._calls = ()
        self._listeners.on_end(had_loaded, lost)


Act = Callable[[WorkerGroup, Sequence[StubSlot]], Awaitable[None]]


def act(
    test: Act,
    *,
    keys: Sequence[str] = ("one", "two"),
    workers: int = 1,
    settings_of: Sequence[Settings] | None = None,
    metrics: Metrics | None = None,
    **settings: str,
) -> None:
    """Run a test with a group whose slots are stubs."""

    async def main() -> None:
        read = settings_from(**settings)
        group = WorkerGroup(
            WorkerCommand(python=Path(), import_path=[], models=("one", "two"), threads=1),
            name="default",
            workers=workers,
            settings=read,
            models=dict(zip(keys, settings_of or [read, read], strict=True)),
            admission=Admission(dict.fromkeys(keys, read.max_queued), read.max_queued_bytes),
            metrics=metrics or Metrics(keys),
        )
        stubs = [StubSlot(slot._listeners) for slot in group.slots]  # noqa: SLF001  # to be it
        group.slots[:] = [cast("WorkerSlot", stub) for stub in stubs]
        await test(group, stubs)

    asyncio.run(main())


def has_queue(group: WorkerGroup) -> bool:
    """Tell whether calls wait."""
    queue = group._queue  # noqa: SLF001  # only `is_busy` tells others
    return bool(queue._self_tests or queue._turns)  # noqa: SLF001  # to look is not to take


def settings_from(**settings: str) -> Settings:
    """Return settings."""
    return Settings.read({f"STEVEDORE_{n.upper()}": value for n, value in settings.items()})


async def turns(count: int = 6) -> None:
    """Let the event loop turn so often: calls are gathered for a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_waits_is_dispatched_when_a_worker_is_free() -> None:
    """One at a time where a model is not batchable, in the order in which they came."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load()
        assert (group.is_busy, has_queue(group)) == (False, False)
        first, second = (group.submit(Kind.PREDICT, 0, body) for body in (b"1", b"2"))
        assert (group.is_busy, has_queue(group)) == (True, True)
        await turns()
        assert (slot.bodies, group.is_busy, has_queue(group)) == ([[b"1"]], True, True)
        slot.answer()
        await turns()
        assert (await first, slot.bodies, has_queue(group)) == (ANSWER, [[b"1"], [b"2"]], False)
        slot.answer()
        assert await second == ANSWER
        await turns()
        assert (group.is_busy, has_queue(group)) == (False, False)

    act(test)


def test_each_free_worker_gets_something() -> None:
    """Workers are filled one after the other; what is left waits."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        for slot in slots:
            slot.load()
        for number in range(3):
            group.submit(Kind.PREDICT, 0, b"%d" % number)
        await turns()
        assert [slot.bodies for slot in slots] == [[[b"0"]], [[b"1"]]]
        assert has_queue(group)

    act(test, workers=2)


def test_what_comes_in_three_turns_goes_together() -> None:
    """Calls are gathered while each turn of the event loop brings more, three times at most."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load(batchable=True)
        await turns()
        for number in range(6):
            group.submit(Kind.PREDICT, 0, b"%d" % number)
            await asyncio.sleep(0)
        assert slot.bodies == [[b"0", b"1", b"2", b"3"]]
        slot.answer()
        await turns()
        assert slot.bodies[1:] == [[b"4", b"5"]]

    act(test)


def test_a_turn_that_brings_nothing_is_the_last() -> None:
    """Nobody waits for company that does not come."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load()
        await turns()
        group.submit(Kind.PREDICT, 0, b"1")
        await turns(1)
        assert slot.bodies == []
        await turns(1)
        assert slot.bodies == [[b"1"]]

    act(test)


def test_each_model_has_limits_of_its_own() -> None:
    """How many calls go together, how many bytes, and how long they may run."""
    narrow = settings_from(max_batch="2", call_limit_s="3")
    short = settings_from(max_batch_bytes="3", call_limit_s="4")

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load(0, 1, batchable=True)
        for model in (0, 1):
            for _ in range(4):
                group.submit(Kind.PREDICT, model, b"1")
        for _ in range(4):
            await turns()
            slot.answer()
        assert [[call.number for call in batch] for batch in slot.batches] == [
            [0, 0],
            [1, 1, 1],
            [0, 0],
            [1],
        ]
        assert [batch[0].limit_s for batch in slot.batches] == [3, 4, 3, 4]

    act(test, settings_of=[narrow, short])


def test_a_model_that_is_not_loaded_is_refused() -> None:
    """By the key that the catalogue has for it, while the other one is served."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        slots[0].load(0)
        assert (group.is_loaded(0), group.is_loaded(1)) == (True, False)
        with pytest.raises(ModelNotReady) as caught:
            group.submit(Kind.PREDICT, 1, b"1")
        assert str(caught.value) == "model `two@1.0.0` is not loaded"
        assert not group.is_busy

    act(test, keys=("one", "two@1.0.0"))


def test_what_is_known_of_a_model_once_it_is_loaded() -> None:
    """What the worker said; a failure before that is forgotten, and who waited goes on."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        waits = [asyncio.ensure_future(group.until_loaded(number)) for number in range(2)]
        slot.fail_to_load(1)
        await turns()
        assert (group.load_failure(0), group.load_failure(1)) == (None, "model-broken")
        assert (group.said(1), [wait.done() for wait in waits]) == (None, [False, False])
        slot.load(1)
        await turns()
        assert (group.load_failure(1), group.said(1)) == (None, {"batchable": False})
        assert (group.said(0), [wait.done() for wait in waits]) == (None, [False, True])
        slot.die()
        await group.until_loaded(1)
        waits[0].cancel()

    act(test)


def test_a_worker_that_is_gone_is_waited_for() -> None:
    """For so long its models count as loaded, unless the next worker could not load them."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        assert not group.is_loaded(0)
        slot.load(0, 1)
        slot.die()
        assert (group.is_loaded(0), group.is_loaded(1)) == (True, True)
        slot.fail_to_load(1)
        assert (group.is_loaded(0), group.is_loaded(1)) == (True, False)
        await asyncio.sleep(0.06)
        assert not group.is_loaded(0)

    act(test, replace_grace_s="0.05")


def test_a_full_queue() -> None:
    """What a worker can take at once does not wait; what then is too much of a model is refused."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load(0, 1)
        await turns()
        group.submit(Kind.PREDICT, 0, b"1")
        assert slot.bodies == []
        second = group.submit(Kind.PREDICT, 0, b"2")
        assert slot.bodies == [[b"1"]]
        with pytest.raises(QueueFull):
            group.submit(Kind.PREDICT, 0, b"3")
        await turns()
        with pytest.raises(QueueFull):
            group.submit(Kind.PREDICT, 0, b"4")
        group.submit(Kind.PREDICT, 1, b"5")
        second.cancel()
        await turns()
        group.submit(Kind.PREDICT, 0, b"6")

    act(test, max_queued="1")


def test_a_call_that_nobody_awaits_is_left_out() -> None:
    """Of a batch only those are run that somebody waits for, and of none that is done nothing."""
    metrics = Metrics(("one", "two"))

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load(batchable=True)
        self_test = group.submit_own(Kind.SELF_TEST, 0, limit_s=1)
        calls = [group.submit(Kind.PREDICT, 0, body) for body in (b"1", b"2", b"3")]
        for call in (self_test, calls[1]):
            call.set_exception(ValueError)
        await turns()
        assert slot.bodies == [[b"1", b"3"]]
        for call in (self_test, calls[1]):
            with pytest.raises(ValueError, match=r"^$"):
                await call

    act(test, metrics=metrics)
    assert dict(metrics.models["one"].batches.buckets())["1"] == 0
    assert dict(metrics.models["one"].batches.buckets())["2"] == 1


def test_our_own_calls() -> None:
    """They have their limit and no deadline, are no business of callers, and are not counted."""
    metrics = Metrics(("one", "two"))

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load()
        await turns()
        score = group.submit_own(Kind.SCORE_EXAMPLES, 1, limit_s=7)
        self_test = group.submit_own(Kind.SELF_TEST, 0, limit_s=8)
        assert not group.is_busy
        for _ in range(2):
            await turns()
            slot.answer()
        assert (await score, await self_test) == (ANSWER, ANSWER)
        asked = [(call.kind, call.number, call.body, call.limit_s) for [call] in slot.batches]
        assert asked == [(Kind.SELF_TEST, 0, b"", 8), (Kind.SCORE_EXAMPLES, 1, b"", 7)]

    act(test, metrics=metrics, deadline_s="0.01")
    for of_model in metrics.models.values():
        assert (of_model.batches.total, of_model.waited.total, of_model.ran.total) == (0, 0, 0)


@pytest.mark.parametrize("is_lost", [True, False])
def test_callers_have_a_turn_after_a_self_test_that_was_lost(
    is_lost: bool,  # noqa: FBT001  # whether it ended in an error
) -> None:
    """Only then: a self-test that was answered, or that nobody awaits, gives its turn to nobody."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load()
        first, left = (group.submit_own(Kind.SELF_TEST, 0, limit_s=1) for _ in range(2))
        await turns()
        left.cancel()
        group.submit_own(Kind.SELF_TEST, 0, limit_s=1)
        group.submit(Kind.PREDICT, 0, b"1")
        if is_lost:
            first.set_exception(DeadlinePassed("…"))
            with pytest.raises(DeadlinePassed):
                await first
        await turns()
        slot.answer()
        await turns()
        assert [call.kind for batch in slot.batches for call in batch] == [
            Kind.SELF_TEST,
            Kind.PREDICT if is_lost else Kind.SELF_TEST,
        ]

    act(test)


def test_what_was_lost_runs_once_more_alone() -> None:
    """Ahead of all that waits, one by one; and nothing lost is nothing to be run."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load(batchable=True)
        for body in (b"1", b"2"):
            group.submit(Kind.PREDICT, 0, body)
        await turns()
        group.submit(Kind.PREDICT, 0, b"3")
        slot.die()
        await turns()
        slot.load(batchable=True)
        for _ in range(3):
            await turns()
            slot.answer()
        assert slot.bodies == [[b"1", b"2"], [b"1"], [b"2"], [b"3"]]
        slot.die()
        assert not has_queue(group)

    act(test)


def test_deadlines() -> None:
    """Each caller is told in time, later ones later; a call that waits then never runs."""
    hasty, patient = settings_from(deadline_s="0.05"), settings_from(deadline_s="30")

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load(0, 1)
        await turns()
        begun = time.monotonic()
        running, waiting = (group.submit(Kind.PREDICT, 0, body) for body in (b"1", b"2"))
        other = group.submit(Kind.PREDICT, 1, b"3")
        await asyncio.sleep(0.03)
        later = group.submit(Kind.PREDICT, 0, b"4")
        for call, least_s in ((running, 0.05), (waiting, 0.05), (later, 0.08)):
            with pytest.raises(DeadlinePassed) as caught:
                await call
            assert str(caught.value) == "no answer came within the deadline"
            assert least_s - 0.002 <= time.monotonic() - begun < least_s + 1
            assert later.done() is (call is later)
        slot.answer()
        await turns()
        assert slot.bodies == [[b"1"], [b"3"]]
        slot.answer()
        assert await other == ANSWER
        again = group.submit(Kind.PREDICT, 0, b"5")
        with pytest.raises(DeadlinePassed):
            await again

    act(test, settings_of=[hasty, patient])


def test_what_is_measured_of_calls() -> None:
    """How long a call waited and ran; of one that no worker got, how long it waited."""
    metrics = Metrics(("one", "two"))

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        (slot,) = slots
        slot.load()
        await turns()
        group.submit(Kind.PREDICT, 0, b"1")
        left = group.submit(Kind.PREDICT, 0, b"2")
        await asyncio.sleep(0.1)
        slot.answer()
        left.cancel()
        await turns()

    act(test, metrics=metrics)
    one = metrics.models["one"]
    assert 0.1 <= one.ran.total < 0.2
    assert 0.1 <= one.waited.total < 0.2
    assert [of.buckets()[-1][1] for of in (one.ran, one.waited, one.batches)] == [1, 2, 1]
    assert metrics.models["two"].waited.buckets()[-1][1] == 0


def test_a_spare_worker_takes_the_place_of_one_that_is_gone() -> None:
    """And keeps it; whoever comes later is the spare one then. Without any all are asked."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        first, spare = slots
        first.load()
        spare.load()

        async def got(body: bytes) -> list[bool]:
            group.submit(Kind.PREDICT, 0, body)
            await turns()
            taken = [[body] in slot.bodies for slot in slots]
            for slot in slots:
                slot.answer()
            return taken

        assert await got(b"1") == [True, False]
        first.die()
        assert await got(b"2") == [False, True]
        first.load()
        assert await got(b"3") == [False, True]
        first.die()
        spare.die()
        first.load()
        spare.load()
        waiting = group.submit(Kind.PREDICT, 0, b"5")
        assert await got(b"4") == [False, False]
        assert await waiting == ANSWER
        assert first.bodies[1:] == [[b"5"]]

    act(test, spare_workers="1")


def test_what_was_lost_goes_to_a_worker_that_is_free() -> None:
    """Nobody waits for the replacement where another worker has nothing to do."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        for slot in slots:
            slot.load(batchable=True)
        for body in (b"1", b"2"):
            group.submit(Kind.PREDICT, 0, body)
        await turns()
        slots[0].die()
        await turns()
        assert [slot.bodies for slot in slots] == [[[b"1", b"2"]], [[b"1"]]]

    act(test, workers=2)


def test_all_workers_are_told() -> None:
    """Starting, killing and stopping a group reach each of them, spare ones too."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        assert group.name == "default"
        group.start()
        group.kill()
        await group.stop()
        assert [slot.told for slot in slots] == [["start", "kill", "stop"]] * 3

    act(test, workers=2, spare_workers="1")


def test_a_group_is_hopeless_when_all_its_workers_are() -> None:
    """One that may load yet is hope."""

    async def test(group: WorkerGroup, slots: Sequence[StubSlot]) -> None:
        slots[0].failures = 3
        slots[1].failures = 2
        assert not group.is_hopeless
        slots[1].failures = 3
        assert group.is_hopeless

    act(test, workers=2, max_load_tries="3")

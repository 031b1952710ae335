"""Worker slots: what happens to workers that die is tested through `WorkerGroup`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from stevedore_api import slots
from stevedore_api.settings import Settings
from stevedore_api.slots import _START_AGAIN_S, SlotListeners, WorkerSlot, _wait_s
from stevedore_api.worker_process import WorkerProcess
from stevedore_core.worker_command import WorkerCommand

COMMAND = WorkerCommand(python=Path(), import_path=[], models=("one",), threads=1)


@pytest.mark.parametrize(
    ("deaths", "expected_s"),
    [(0, 0), (1, 0.5), (2, 2), (3, 8), (4, 20), (1_024, 20), (10**6, 20)],
)
def test_when_to_start_again(deaths: int, expected_s: float) -> None:
    """The first replacement comes at once; however many die, there is a next one."""
    assert _wait_s(_START_AGAIN_S, deaths) == expected_s


@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_a_worker_that_cannot_be_started_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    """Whatever it is that keeps a worker from being started stands in the log, each time."""
    was_tried_again = asyncio.Event()

    class Unstartable(WorkerProcess):
        tries = 0

        async def start(  # what it overrides takes them
            self,
            command: WorkerCommand,  # noqa: ARG002
            outer: Mapping[str, str],  # noqa: ARG002
        ) -> None:
            Unstartable.tries += 1
            if Unstartable.tries > 1:
                was_tried_again.set()
            raise kind("it does not start")

    async def start_and_stop() -> None:
        nobody = SlotListeners(
            on_loaded=lambda *_: None,
            on_load_failed=lambda *_: None,
            on_free=lambda: None,
            on_end=lambda *_: None,
        )
        slot = WorkerSlot(COMMAND, Settings.read({}), nobody)
        slot.start()
        await asyncio.wait_for(was_tried_again.wait(), 10)
        await slot.stop()

    monkeypatch.setattr(slots, "WorkerProcess", Unstartable)
    asyncio.run(start_and_stop())
    told = [record for record in caplog.records if "can be started" in record.message]
    assert len(told) == 2
    assert all(record.exc_info and record.exc_info[0] is kind for record in told)

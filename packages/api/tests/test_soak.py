"""The soak, for seconds, and what makes it fail."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import soak
from callers import Failure
from served_layout import Server

Scale = Callable[[int, int], int]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The server that is soaked."""
    running = soak.start(tmp_path)
    yield running
    running.clean_up()


@pytest.mark.clock
@pytest.mark.stress
def test_nothing_fails_that_was_not_asked_for(server: Server, scale: Scale) -> None:
    """Every fault happens, and only what it accounts for is lost."""
    seconds = scale(8, 300)
    report = soak.run(server, seconds=seconds, fault_every_s=0.5, faults=soak.FAULTS, seed=3)
    assert list(report.unasked) == [], report
    assert set(report.faults) == {fault.__name__ for fault in soak.FAULTS}
    assert report.requests > seconds
    assert report.crashed_clients > seconds


def kill_secretly(server: Server, _: random.Random) -> Mapping[str, int]:
    """Kill a worker that has a call for sure, and account for nothing."""
    worker = soak.worker_of(server, "plain")
    os.kill(worker, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(worker, signal.SIGKILL)
    return {}


def disappoint(_server: Server, _: random.Random) -> Mapping[str, int]:
    """Find that the fault itself was answered otherwise than due."""
    raise AssertionError("answered")


@pytest.mark.clock
@pytest.mark.stress
def test_what_was_not_asked_for_is_told(server: Server) -> None:
    """A failure that its fault does not account for is one too many, and so is a wrong answer."""
    faults = (kill_secretly, disappoint)
    report = soak.run(server, seconds=3, fault_every_s=0.5, faults=faults, seed=1)
    assert "disappoint: answered" in report.unasked
    assert [line for line in report.unasked if line.startswith("plain: 502 ")]


def test_a_fault_accounts_for_its_own_model_only() -> None:
    """As often as it says, and not for another model."""
    failures = [Failure(model=model, status=502, text="died") for model in ("a", "a", "b")]
    assert soak.beyond({"a": 1}, failures) == ["a: 502 died", "b: 502 died"]
    assert soak.beyond({"a": 2, "b": 1}, failures) == []


def test_report() -> None:
    """It is read by people: every figure with its name."""
    report = soak.Report(
        seconds=60.2,
        requests=1_000,
        crashed_clients=50,
        faults={"hang": 2, "drip": 1},
        failures=3,
        unasked=["plain: 502 died"],
        grown_bytes=3 << 19,
    )
    assert str(report) == (
        "1000 requests in 60 s\n"
        "50 clients crashed meanwhile\n"
        "faults: drip 1, hang 2\n"
        "failed: 3 requests; not asked for: 1\n"
        "growth of the front: 1.5 MiB\n"
        "plain: 502 died"
    )

"""More requests than a model in a container of the image can answer, sent from outside.

Models that ship are done in a millisecond, and no generator in Python sends ten times as many
requests as that, let alone beside the server on the same two cores. So the workers are starved: a
process in the container stops them whenever they have had their share of a core. What is asked of
the front stays the same, and neither it nor the generator runs short of a processor.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from image_under_test import Container, StartContainer, engine
from open_loop import measure_peak
from overload import MAX_QUEUED, SLACK, TIMES, Overload, overload, split_cores
from raw_http import request
from served import MODELS

pytestmark = pytest.mark.stress

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

PEAK_PER_S = 50
"""How many requests a second starved workers are to answer, more or less."""
BODY_BYTES = 32 << 10
"""A millisecond of a model: so much that it hardly matters how often it is stopped meanwhile."""
FLAGS = ("--publish=127.0.0.1::8000", "--env=STEVEDORE_SELF_TEST_INTERVAL_S=3600")
"""Starved workers would take long for a self-test, which goes ahead of callers."""
STARVE = """
import os, signal, sys, time
from pathlib import Path

def used_s(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9

children = Path("/proc/1/task/1/children").read_text().split()
workers = [int(pid) for pid in children if b"stevedore_core.worker" in
           Path("/proc", pid, "cmdline").read_bytes()]
share, before = float(sys.argv[1]), time.monotonic()
allowed_s = {pid: used_s(pid) for pid in workers}
print("begun", flush=True)
while True:
    now = time.monotonic()
    for pid in workers:
        used = used_s(pid)
        allowed_s[pid] = min(allowed_s[pid] + share * (now - before), used + share / 20)
        os.kill(pid, signal.SIGCONT if used < allowed_s[pid] else signal.SIGSTOP)
    before = now
    time.sleep(0.002)
"""
"""Let the workers have a share of a core each: what one did not use is saved up for 50 ms."""


@pytest.fixture(autouse=True)
def own_core() -> Iterator[set[int]]:
    """The core of this process, once the container is started on the others."""
    with split_cores() as core:
        yield core


@contextmanager
def starved(container: Container, share: float) -> Iterator[None]:
    """Starve the workers of a container, which is gone after that."""
    command = [*json.loads(os.environ["STEVEDORE_ENGINE"]), "exec", container.name]
    starving = subprocess.Popen(
        [*command, f"python{container.python}", "-u", "-c", STARVE, str(share)],
        stdout=subprocess.PIPE,
    )
    try:
        assert starving.stdout is not None
        assert starving.stdout.readline() == b"begun\n"
        yield
    finally:
        engine("rm", "--force", container.name)
        starving.communicate()


def long_request() -> bytes:
    """Return the request for a score of the first model's examples, over and over."""
    model = next(iter(MODELS.values()))
    examples = json.loads(model.example("score"))
    body = json.dumps(examples * (BODY_BYTES // len(json.dumps(examples)))).encode()
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return request("POST", f"{model.place}/score", *lines, body=body)


def overload_inside(
    container: Container, core: set[int], *, times: float, for_s: float, rounds: int = 1
) -> Overload:
    """Starve a container's workers and send so many times as much as they answer then."""
    os.sched_setaffinity(0, core)
    address, data = container.address(), long_request()
    peaks = [asyncio.run(measure_peak(address, data, connections=8, for_s=0.3)) for _ in range(3)]
    with starved(container, PEAK_PER_S / max(peaks)):  # whatever disturbs makes them lower
        return asyncio.run(overload(address, data, times=times, for_s=for_s, rounds=rounds))


@pytest.mark.fault("C5")
@pytest.mark.parametrize("times", TIMES)
def test_overload_inside_the_image(
    start_container: StartContainer, own_core: set[int], times: int, scale: Scale, figure: Figure
) -> None:
    """What a model can answer it goes on answering; all else is 429 at once, and probes answer."""
    if times != scale(10, times):
        pytest.skip("it takes a machine that does nothing else")
    container = start_container(*FLAGS, f"--env=STEVEDORE_MAX_QUEUED={MAX_QUEUED}")
    found = overload_inside(
        container, own_core, times=times, for_s=scale(4, 60), rounds=scale(3, 6)
    )
    assert found.faults(scale(SLACK, 1)) == []
    assert len(found.refused) > (1 - 2 / times) * len(found.calls)  # it was as many times
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    figure(f"image of {composition}, {times} times the peak: {found}")


@pytest.mark.control("C5")
def test_a_queue_without_bound_inside_is_seen(
    start_container: StartContainer, own_core: set[int]
) -> None:
    """Where nothing is refused, what is accepted waits too long."""
    container = start_container(*FLAGS, "--env=STEVEDORE_MAX_QUEUED=100000")
    found = overload_inside(container, own_core, times=4, for_s=1.5)
    assert any(fault.startswith("accepted p99") for fault in found.faults(SLACK))

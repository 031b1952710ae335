"""A hundred models in one layout, served for real: start, probes and lists stay bounded."""

import re
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from served_layout import MakeLayout, Model, Serve, Server, obedient

COUNT = 100
LIMIT_S = 0.05
SLACK = 3  # a machine that does other things at the same time


def slowest_s(ask: Callable[[], object], *, probes: int) -> float:
    """Return the 99th percentile of how long something takes, in seconds."""
    took = []
    for _ in range(probes):
        begun = time.perf_counter()
        ask()
        took.append(time.perf_counter() - begun)
    return statistics.quantiles(took, n=100)[98]


def memory_mib(server: Server) -> dict[str, float]:
    """Return the resident memory of the front and of all its workers."""
    pids = {"front": [server.process.pid], "workers": []}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = re.search(r"^PPid:\t(\d+)$", status.read_text(), flags=re.MULTILINE)
        except OSError:  # it ended just now
            continue
        if parent and int(parent[1]) == server.process.pid:
            pids["workers"].append(int(status.parent.name))
    return {name: sum(map(resident_mib, found)) for name, found in pids.items()}


def resident_mib(pid: int) -> float:
    """Return the resident memory of one process."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def is_bounded(slowest: float) -> bool:
    """Say whether a probe answers soon enough for an orchestrator that waits for a second."""
    return slowest < LIMIT_S * SLACK


@pytest.mark.clock
@pytest.mark.fault("H6")
def test_a_hundred_models(
    make_layout: MakeLayout,
    serve: Serve,
    figure: Callable[[str], None],
    scale: Callable[[int, int], int],
) -> None:
    """All are listed and ready, the probe answers within 50 ms, thrice that on a busy machine."""
    names = [f"m{number}" for number in range(COUNT)]
    layout = make_layout(**{name: Model(source=obedient(name)) for name in names})
    begun = time.monotonic()
    server = serve(layout)
    server.wait_until("/readyz")
    started = time.monotonic() - begun
    probes = scale(300, 3_000)
    paths = ("/readyz", "/readyz?verbose", "/list")
    slowest = {path: slowest_s(partial(server.get, path), probes=probes) for path in paths}
    memory = memory_mib(server)
    figure(
        f"{COUNT} models in one worker, ready {started:.1f} s after the start; /readyz p99 "
        f"{slowest['/readyz'] * 1000:.1f} ms; front {memory['front']:.0f} MiB, worker "
        f"{memory['workers']:.0f} MiB"
    )
    assert server.get("/list").json() == names
    assert [answer for answer in map(is_bounded, slowest.values()) if not answer] == []
    echoed = [server.post(f"/models/{n}/predict", {"do": "echo", "value": n}) for n in names]
    assert [answer.json() for answer in echoed] == names


@pytest.mark.control("H6")
def test_a_probe_that_asks_every_model_is_not_bounded(
    make_layout: MakeLayout, serve: Serve
) -> None:
    """A probe that computes, as one prediction per model would, is told by the same measure."""
    names = [f"m{number}" for number in range(COUNT // 10)]
    server = serve(make_layout(**{name: Model(source=obedient(name)) for name in names}))
    server.wait_until("/readyz")

    def ask_all() -> None:
        for name in names * 10:
            server.post(f"/models/{name}/predict", {"do": "sleep", "value": 0.002})

    assert not is_bounded(slowest_s(ask_all, probes=5))

"""A front and its workers in a control group whose memory is too little for what is sent."""

import contextlib
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from served_layout import MakeLayout, Model, Serve, Server, is_running, obedient

from stevedore_api.cgroup import MemoryBound
from stevedore_core.strict_json import MAX_CONTAINERS

LIMIT_BYTES = 256 << 20
GROUPS = Path("/sys/fs/cgroup/memory")
JSON = {"content-type": "application/json"}
MOST_OBJECTS = b",".join([b'{"":0}'] * (MAX_CONTAINERS - 2))
BIG = b'{"do":"echo","value":[' + MOST_OBJECTS + b",0" * (2 << 20) + b"]}"
"""7 MiB that become 140."""
SMALL = b'{"do":"echo","value":1}'

HOLDING = """
class Holding(Obedient):
    def run_predict(self, X):
        if X["do"] != "hold":
            return super().run_predict(X)
        held = b"x" * X["value"]
        time.sleep(3)
        return len(held)


Obedient = Holding
"""


@dataclass(frozen=True, slots=True)
class Group:
    """A control group of memory, of version 1."""

    place: Path

    def limit(self, limit_bytes: int) -> None:
        """Bound what its processes hold together, swapped out or not."""
        for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
            (self.place / name).write_text(str(limit_bytes))

    def enter(self) -> None:
        """Move this process in: what it starts begins there."""
        (self.place / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self) -> int:
        """Return how many processes were killed for want of memory."""
        lines = (self.place / "memory.oom_control").read_text().splitlines()
        return int(dict(line.split() for line in lines)["oom_kill"])

    def most_bytes(self) -> int:
        """Return the most that was ever used."""
        return int((self.place / "memory.max_usage_in_bytes").read_text())


@pytest.fixture
def group() -> Iterator[Group]:
    """A group of 256 MiB for the servers of a test."""
    if not os.access(GROUPS / "cgroup.procs", os.W_OK):
        pytest.skip("it takes the right to make control groups of memory, of version 1")
    place = GROUPS / f"stevedore-test-{uuid.uuid4()}"
    place.mkdir()
    made = Group(place)
    made.limit(LIMIT_BYTES)
    yield made
    for _ in range(100):
        with contextlib.suppress(OSError):  # the kernel takes its time with the last process
            place.rmdir()
            return
        time.sleep(0.1)


@dataclass
class Pressure:
    """What came of requests that together need more memory than there is."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By what was asked, and the answer; 0 is none."""

    def press(self, server: Server, for_s: float) -> None:
        """Send large payloads from four callers, small ones from one, and probes."""
        give_up = time.monotonic() + for_s
        asked = [("big", BIG)] * 4 + [("small", SMALL), ("probe", b"")]
        threads = [threading.Thread(target=self._ask, args=(server, give_up, *a)) for a in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask(self, server: Server, give_up: float, name: str, body: bytes) -> None:
        with httpx.Client(base_url=server.url, timeout=60, headers=JSON) as client:
            while time.monotonic() < give_up:
                status = 0
                with contextlib.suppress(httpx.HTTPError):
                    if body:
                        status = client.post("/models/one/predict", content=body).status_code
                    else:
                        status = client.get("/livez").status_code
                        time.sleep(0.05)
                self.statuses[name, status] += 1
                if not status and not is_running(server.process.pid):
                    return

    def of(self, name: str) -> dict[int, int]:
        """Return the answers to one of the things that were asked."""
        return {status: count for (asked, status), count in self.statuses.items() if asked == name}


def start(group: Group, layout: Path, serve: Serve, **settings: str) -> Server:
    """Start a server in the group, and wait until it is ready."""
    home = Group(GROUPS / Path("/proc/self/cgroup").read_text().split(":memory:/")[1].split()[0])
    group.enter()
    try:
        running = serve(layout, **settings)
    finally:
        home.enter()
    running.wait_until("/readyz")
    return running


@pytest.fixture
def layout(make_layout: MakeLayout) -> Path:
    """A layout of the model `one`, with two workers, which holds memory if it is asked to."""
    before, load, after = obedient("one").partition("\ndef load()")
    return make_layout(one=Model(source=before + HOLDING + load + after, workers=2))


@pytest.fixture
def server(group: Group, layout: Path, serve: Serve) -> Iterator[Server]:
    """A ready server in the group."""
    running = start(group, layout, serve)
    yield running
    running.process.kill()
    running.process.wait()


def beside(group: Group, server: Server) -> list[httpx.Response]:
    """Have a call hold nearly all memory; return the answers to small ones meanwhile, then its."""
    bound = MemoryBound(
        limit_bytes=LIMIT_BYTES,
        usage=group.place / "memory.usage_in_bytes",
        statistics=group.place / "memory.stat",
        cached="total_inactive_file",
    )
    value = int(0.94 * LIMIT_BYTES) - bound.held_bytes()
    headers = {"connection": "close"}
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=server.url, timeout=30) as client:
        held = pool.submit(server.post, "/models/one/predict", {"do": "hold", "value": value})
        while bound.held_bytes() < 0.92 * LIMIT_BYTES and not held.done():
            time.sleep(0.01)
        time.sleep(0.3)  # the front looks ten times a second
        body = {"do": "echo", "value": 1}
        small = [client.post("/models/one/predict", json=body, headers=headers) for _ in range(3)]
        return [*small, held.result()]


@pytest.mark.fault("B6")
def test_requests_are_refused_before_memory_runs_out(group: Group, server: Server) -> None:
    """Above nine tenths a request beside another is 429; the other is answered, none is killed."""
    *refused, held = beside(group, server)
    assert [answer.status_code for answer in refused] == [429] * 3
    assert refused[0].json()["detail"] == "memory is short: only one request at a time is taken"
    assert refused[0].headers["retry-after"] == "1"
    assert held.status_code == 200
    time.sleep(0.3)
    assert server.post("/models/one/predict", {"do": "echo", "value": 1}).json() == 1
    assert group.kills() == 0


@pytest.mark.control("B6")
def test_where_memory_is_not_watched_none_is_refused(
    group: Group, layout: Path, serve: Serve
) -> None:
    """With a share of 1 the same requests are taken."""
    server = start(group, layout, serve, max_memory_share="1")
    assert [answer.status_code for answer in beside(group, server)] == [200] * 4


@pytest.mark.fault("B6")
def test_memory_runs_out(
    group: Group,
    server: Server,
    figure: Callable[[str], None],
    scale: Callable[[int, int], int],
) -> None:
    """Requests are refused, at worst a worker is killed; the front lives, and answers after it."""
    for_s, found = scale(4, 75), Pressure()
    found.press(server, for_s)
    assert group.most_bytes() > 0.9 * LIMIT_BYTES
    assert is_running(server.process.pid)
    assert set(found.of("probe")) == {200}
    # 0: a connection that was refused, and closed, while its body was still being sent.
    assert set(found.of("big")) <= {0, 200, 429, 502, 503, 504}
    assert set(found.of("small")) <= {200, 429, 502, 503, 504}
    server.wait_until("/readyz", limit_s=10)
    assert server.post("/models/one/predict", {"do": "echo", "value": 1}).json() == 1
    figure(
        f"{for_s} s at 256 MiB: the front lived, {group.kills()} workers killed; large payloads "
        f"{found.of('big')}, small ones {found.of('small')}, liveness {found.of('probe')}"
    )


@pytest.mark.control("B6")
def test_a_front_that_is_chosen_first_is_killed(group: Group, server: Server) -> None:
    """Where the kernel prefers the front to its workers, it is seen to be killed."""
    front = server.process.pid
    workers = Path(f"/proc/{front}/task/{front}/children").read_text().split()
    assert len(workers) == 2
    for pid, preference in [(str(front), "1000"), *((worker, "0") for worker in workers)]:
        Path(f"/proc/{pid}/oom_score_adj").write_text(preference)
    found = Pressure()
    found.press(server, 20)
    assert group.kills() > 0
    assert not is_running(front)
    assert 0 in found.of("probe")

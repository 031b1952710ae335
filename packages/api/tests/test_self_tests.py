"""Self-tests that change their mind at run time, and probes that ask for them all the time."""

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from background import Background
from served_layout import MakeLayout, Model, Serve, Server, obedient

from stevedore_api.memory import resident_bytes

pytestmark = pytest.mark.clock

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

SWITCHED = """
SWITCH = Path(FILE)
TURNS = []


def self_test():
    match SWITCH.read_text():
        case "raise":
            raise RuntimeError("broken")
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(600)
        case "slow":
            time.sleep(LIMIT * 1.5)
        case "no-json":
            return object()
        case "no-score":
            return None
        case "flap":
            TURNS.append(1)
            if len(TURNS) % 2:
                raise RuntimeError("every other time")


class Switched(Obedient):
    def run_predict(self, X):
        if X == EXAMPLE:
            COUNT.open("a").write(".")
            return self_test()
        return super().run_predict(X)

    def run_scores(self, X, y):
        return "many" if SWITCH.read_text() == "no-score" else super().run_scores(X, y)


COUNT = SWITCH.with_name("count")
Obedient = Switched
"""
"""The packaged example ends as a file says; callers' payloads are not touched by it."""
SHAPES = ("raise", "exit", "hang", "slow", "no-json", "no-score", "flap")


def start(
    make_layout: MakeLayout, serve: Serve, switch: Path, interval_s: float, limit_s: float
) -> Server:
    """Serve `flip`, whose self-test follows the switch, and `calm`."""
    switch.write_text("pass")
    before, load, after = obedient("flip").partition("\ndef load()")
    change = SWITCHED.replace("FILE", repr(str(switch))).replace("LIMIT", str(limit_s))
    flip = Model(source=before + change + load + after, workers=1)
    server = serve(
        make_layout(flip=flip, calm=Model(source=obedient("calm"))),
        self_test_interval_s=str(interval_s),
        self_test_limit_s=str(limit_s),
    )
    server.wait_until("/readyz")
    return server


class Liveness(Background):
    """Asks whether the server lives, from `with` to its end."""

    def __init__(self, url: str) -> None:
        self.failures = 0
        self.asked = 0
        self._url = url
        super().__init__([self._run])

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10) as client:
            while not self.is_over.wait(0.05):
                self.asked += 1
                self.failures += client.get("/livez").status_code != 200


def transitions(server: Server) -> list[bool]:
    """Return every change of the readiness of `flip` that the log tells, oldest first."""
    told = [re.match(r"model `flip`: ready=(\w+)", str(line["message"])) for line in server.lines()]
    return [found[1] == "True" for found in told if found]


@pytest.mark.fault("A8")
def test_readiness_follows_every_shape_of_self_test(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path, scale: Scale, figure: Figure
) -> None:
    """Told in time and once, by name; live throughout; the model goes on predicting."""
    interval_s, limit_s = scale(2, 100) / 10, scale(3, 50) / 10
    switch = tmp_path / "switch"
    server = start(make_layout, serve, switch, interval_s, limit_s)
    slowest_s = 0.0
    with Liveness(server.url) as liveness:
        for shape in SHAPES:
            begin = len(transitions(server))
            switch.write_text(shape)
            slowest_s = max(slowest_s, server.wait_until("/readyz", 503))
            assert server.get("/models/flip/readyz").status_code == 503, shape
            assert server.get("/models/calm/readyz").status_code == 200, shape
            ready = {
                name: one["ready"] for name, one in server.get("/readyz?verbose").json().items()
            }
            assert ready == {"flip": False, "calm": True}, shape
            answer = server.post("/models/flip/predict", {"do": "echo", "value": shape})
            assert answer.json() == shape
            time.sleep(interval_s * 3)
            assert server.get("/readyz").status_code == 503, shape
            switch.write_text("pass")
            server.wait_until("/readyz", limit_s=60)
            assert transitions(server)[begin:] == [False, True], shape
    assert (liveness.failures, liveness.asked > 0) == (0, True)
    assert slowest_s < interval_s + limit_s + scale(2, 1)
    figure(
        f"{len(SHAPES)} of {len(SHAPES)} changes seen within {slowest_s:.1f} s, at an interval of "
        f"{interval_s:.1f} s and a limit of {limit_s:.1f} s, with 2 transitions each; 0 of "
        f"{liveness.asked} liveness probes failed"
    )


@pytest.mark.control("A8")
def test_a_self_test_that_is_not_run_tells_nothing(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path
) -> None:
    """With an hour between two self-tests the same change is not seen."""
    switch = tmp_path / "switch"
    server = start(make_layout, serve, switch, 3_600, 1)
    switch.write_text("raise")
    with pytest.raises(AssertionError):
        server.wait_until("/readyz", 503, limit_s=2)
    assert transitions(server) == [True]


def poll(server: Server, seconds: float) -> list[float]:
    """Ask for readiness a hundred times a second; return how long each answer took, sorted."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    took = []
    begun = time.monotonic()
    for number in range(int(seconds * 100)):
        time.sleep(max(0.0, begun + number / 100 - time.monotonic()))
        asked = time.monotonic()
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        took.append(time.monotonic() - asked)
    connection.close()
    return sorted(took)


def held(pid: int) -> int:
    """Return how much memory a process holds, in bytes."""
    found = resident_bytes(pid)
    assert found is not None
    return found


@pytest.mark.fault("A10")
def test_probes_run_no_self_tests(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path, scale: Scale, figure: Figure
) -> None:
    """A hundred probes a second cost no self-test, no memory and little time."""
    seconds, interval_s = scale(4, 600), scale(1, 10)
    switch = tmp_path / "switch"
    server = start(make_layout, serve, switch, interval_s, 5)
    poll(server, 1)
    count = tmp_path / "count"
    tests, memory = len(count.read_text()), held(server.process.pid)
    took = poll(server, seconds)
    tests, grown = len(count.read_text()) - tests, held(server.process.pid) - memory
    assert tests <= seconds / interval_s + 1
    assert grown < 5 << 20
    p99_s = took[len(took) * 99 // 100]
    assert p99_s < 0.05 * scale(3, 1)  # beside other tests all takes longer
    figure(
        f"{len(took)} probes: {tests} self-tests in {seconds} s at an interval of {interval_s} s, "
        f"p99 {p99_s * 1000:.1f} ms, {grown / (1 << 20):.1f} MiB more held"
    )


@pytest.mark.control("A10")
def test_more_self_tests_are_counted(make_layout: MakeLayout, serve: Serve, tmp_path: Path) -> None:
    """Self-tests that do run more often are seen."""
    server = start(make_layout, serve, tmp_path / "switch", 0.05, 5)
    count = tmp_path / "count"
    tests = len(count.read_text())
    poll(server, 2)
    assert len(count.read_text()) - tests > 2 / 1 + 1


@pytest.mark.control("A10")
def test_memory_that_grows_is_seen() -> None:
    """A process that keeps 10 MiB is seen to hold them."""
    keeping = "print(flush=True); input(); kept = b'x' * (10 << 20); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", keeping], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = held(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        grown = held(process.pid) - before
        process.stdin.write("\n")
        process.stdin.flush()
    assert grown > 5 << 20

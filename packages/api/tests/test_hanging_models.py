"""Models that hang, each in its own way: deadlines hold, and nobody else notices."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from background import Background
from served_layout import MakeLayout, Model, Serve, Server, obedient

pytestmark = pytest.mark.clock

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

PREDICT = "/models/one/predict"
DEADLINE_S = 0.5

HANGING = """
import itertools
import re
import threading


def sleep():
    time.sleep(600)


def regex():
    re.match("(a+)+$", "a" * 60 + "b")


def loop_in_c():
    sum(itertools.repeat(0))


def deadlock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def deaf():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass


class Hanging(Obedient):
    def run_predict(self, X):
        return globals()[X["value"]]() if X["do"] == "hang" else super().run_predict(X)


Obedient = Hanging
"""
KINDS = ("sleep", "regex", "loop_in_c", "deadlock", "deaf")


class Probes(Background):
    """Liveness and a neighbour, asked twenty times a second from `with` to its end."""

    def __init__(self, url: str) -> None:
        self.slowest_s = {"/livez": 0.0, "/models/two/predict": 0.0}
        self.failures: list[str] = []
        self._url = url
        super().__init__(partial(self._run, path) for path in self.slowest_s)

    def _run(self, path: str) -> None:
        with httpx.Client(base_url=self._url, timeout=10) as client:
            while not self.is_over.wait(0.05):
                begun = time.monotonic()
                if path == "/livez":
                    answer = client.get(path)
                else:
                    answer = client.post(path, json={"do": "echo", "value": 1})
                self.slowest_s[path] = max(self.slowest_s[path], time.monotonic() - begun)
                if answer.status_code != 200:
                    self.failures.append(f"{path}: {answer.status_code}")


def start(make_layout: MakeLayout, serve: Serve, deadline_s: float) -> Server:
    """Serve `one`, which may hang, and `two`, which has a worker of its own."""
    before, load, after = obedient("one").partition("\ndef load()")
    one = Model(source=before + HANGING + load + after)
    layout = make_layout(one=one, two=Model(source=obedient("two"), workers=1))
    server = serve(layout, deadline_s=str(deadline_s), call_limit_s=str(deadline_s))
    server.wait_until("/readyz")
    return server


def hang(server: Server, kind: str) -> float:
    """Have a call hang; return after how many seconds it was 504."""
    begun = time.monotonic()
    answer = server.post(PREDICT, {"do": "hang", "value": kind})
    assert answer.status_code == 504, answer.text
    assert answer.json()["type"] == "urn:ml-py-stevedore:problem:deadline-passed"
    return time.monotonic() - begun


def await_replacement(server: Server, before: int) -> float:
    """Return after how many seconds another worker answers."""
    begun = time.monotonic()
    while True:
        answer = server.post(PREDICT, {"do": "pid"})
        if answer.status_code == 200 and answer.json() != before:
            return time.monotonic() - begun
        assert time.monotonic() - begun < 30, answer.text


@pytest.mark.fault("A2")
def test_a_hanging_model_is_cut_off_and_replaced(
    make_layout: MakeLayout, serve: Serve, scale: Scale, figure: Figure
) -> None:
    """504 at the deadline, a new worker soon after; liveness and neighbours answer meanwhile."""
    slack = scale(3, 1)  # beside other tests all takes longer
    server = start(make_layout, serve, DEADLINE_S)
    overdue_s = replaced_s = 0.0
    rounds = scale(1, 20)
    with Probes(server.url) as probes:
        for kind in KINDS * rounds:
            worker = server.post(PREDICT, {"do": "pid"}).json()
            overdue_s = max(overdue_s, hang(server, kind) - DEADLINE_S)
            replaced_s = max(replaced_s, await_replacement(server, worker))
    assert overdue_s < 0.5 * slack
    assert replaced_s < 5 * slack
    assert probes.failures == []
    live_s, neighbour_s = probes.slowest_s.values()
    assert live_s < 0.1 * slack
    assert neighbour_s < 1  # its worker shares the cores with loops that never end
    figure(
        f"{len(KINDS) * rounds} hangs of {len(KINDS)} kinds: 504 at most {overdue_s * 1000:.0f} ms "
        f"after the deadline, liveness within {live_s * 1000:.0f} ms, a neighbour within "
        f"{neighbour_s * 1000:.0f} ms, another worker within {replaced_s:.1f} s"
    )


@pytest.mark.control("A2")
def test_a_long_deadline_lets_a_model_hang(make_layout: MakeLayout, serve: Serve) -> None:
    """It is the deadline that ends the call: with another, the same call takes as long."""
    server = start(make_layout, serve, 3)
    assert hang(server, "loop_in_c") - DEADLINE_S > 0.5 * 3


@pytest.mark.control("A2")
def test_a_front_that_stands_still_is_noticed(make_layout: MakeLayout, serve: Serve) -> None:
    """The probes see it when nobody answers them for half a second."""
    server = start(make_layout, serve, 3)
    with Probes(server.url) as probes:
        time.sleep(0.2)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(server.process.pid, signal.SIGCONT)
        time.sleep(0.2)
    assert min(probes.slowest_s.values()) > 0.1 * 3


@pytest.mark.fault("A2")
def test_waiting_does_not_count_as_running(
    make_layout: MakeLayout, serve: Serve, figure: Figure
) -> None:
    """A call within its limit is left to end, however long it and the one before it take."""
    server = start_with_two_clocks(make_layout, serve)
    worker = server.post(PREDICT, {"do": "pid"}).json()
    with ThreadPoolExecutor(3) as pool:
        begun = time.monotonic()
        calls = [pool.submit(server.post, PREDICT, {"do": "sleep", "value": 0.7}) for _ in range(3)]
        answers = [call.result() for call in calls]
        seconds = time.monotonic() - begun
    assert [answer.status_code for answer in answers] == [200] * 3
    assert seconds > 3 * 0.7
    assert server.post(PREDICT, {"do": "pid"}).json() == worker
    figure(f"a call answered {seconds:.1f} s after it came, under a limit of {LIMIT_S:.1f} s")


@pytest.mark.control("A2")
def test_running_too_long_is_noticed(make_layout: MakeLayout, serve: Serve) -> None:
    """A single call over the same limit loses its worker."""
    server = start_with_two_clocks(make_layout, serve)
    worker = server.post(PREDICT, {"do": "pid"}).json()
    assert server.post(PREDICT, {"do": "sleep", "value": LIMIT_S + 1}).status_code == 504
    assert server.post(PREDICT, {"do": "pid"}).json() != worker


LIMIT_S = 1.5


def start_with_two_clocks(make_layout: MakeLayout, serve: Serve) -> Server:
    """Serve `one` with a deadline far beyond the limit of a call."""
    server = serve(
        make_layout(one=Model(source=obedient("one"))), deadline_s="30", call_limit_s=str(LIMIT_S)
    )
    server.wait_until("/readyz")
    return server

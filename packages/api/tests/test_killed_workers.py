"""Workers that are killed under load: what it costs their callers, and what it costs others."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest
from batched_model import batched
from callers import Callers, Order, order
from served_layout import MakeLayout, Model, Serve, Server, is_running, obedient

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

SIGNALS = (signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV)
CALLERS = 6

PLAIN = order("hit", {"do": "echo", "value": 7}, 7)
BATCHED = order("hit", ["a", "b"], ["A", "B"])
NEIGHBOUR = order("calm", {"do": "echo", "value": 8}, 8)
WHO = {"plain": {"do": "pid"}, "batched": ["pid"]}


def start(make_layout: MakeLayout, serve: Serve, kind: str, workers: int) -> Server:
    """Serve `hit` with workers of its own, and `calm` in another group."""
    source = batched("hit") if kind == "batched" else obedient("hit")
    server = serve(
        make_layout(hit=Model(source=source, workers=workers), calm=Model(source=obedient("calm")))
    )
    server.wait_until("/readyz")
    return server


def worker_of(server: Server, kind: str) -> int:
    """Return the process id of a worker of `hit`."""
    answer = server.post("/models/hit/predict", WHO[kind]).json()
    return int(answer[0] if kind == "batched" else answer)


def draws(kind: str) -> Callable[[random.Random], Order]:
    """Return what callers ask: mostly of `hit`."""
    hit = BATCHED if kind == "batched" else PLAIN
    return lambda dice: dice.choice((hit, hit, NEIGHBOUR))


def lost(callers: Callers) -> dict[str, int]:
    """Return how many requests failed, by model; those to a worker that died must say so."""
    for failure in callers.failures:
        if failure.model == "hit":
            assert failure.status == 502, failure
    return {
        model: sum(failure.model == model for failure in callers.failures)
        for model in ("hit", "calm")
    }


@pytest.mark.fault("A3")
@pytest.mark.parametrize(("kind", "workers"), [("plain", 2), ("batched", 1)])
def test_a_killed_worker_costs_one_request(  # noqa: PLR0913, PLR0917  # fixtures
    make_layout: MakeLayout, serve: Serve, scale: Scale, figure: Figure, kind: str, workers: int
) -> None:
    """At most one for each kill, batched or not; another group notices nothing."""
    server = start(make_layout, serve, kind, workers)
    kills, dice = scale(6, 100), random.Random(20)
    with Callers(server.url, CALLERS, draws(kind)) as callers:
        for number in range(kills):
            worker = worker_of(server, kind)
            time.sleep(dice.random() / 20)
            os.kill(worker, SIGNALS[number % len(SIGNALS)])
            while is_running(worker):
                time.sleep(0.005)
            callers.await_sent("hit", 30)
        callers.await_sent("calm", 10)
    found = lost(callers)
    assert found["hit"] <= kills
    assert found["calm"] == 0
    server.wait_until("/readyz")  # a kill may have hit a self-test
    figure(
        f"{kind}: {kills} kills cost {found['hit']} of {callers.sent['hit']} requests, and 0 of "
        f"{callers.sent['calm']} to another group"
    )


@pytest.mark.control("A3")
def test_failures_without_a_kill_are_seen(make_layout: MakeLayout, serve: Serve) -> None:
    """Requests that kill their worker are counted as what they are: failures that nobody asked."""
    server = start(make_layout, serve, "plain", 2)
    deadly = order("hit", {"do": "signal", "value": int(signal.SIGKILL)}, status=200)
    with Callers(server.url, 2, lambda _: deadly) as callers:
        callers.await_sent("hit", 3)
    assert lost(callers)["hit"] >= 3


def exits(server: Server) -> int:
    """Have the model end its worker by itself; return the status of that call."""
    return server.post("/models/hit/predict", {"do": "exit"}).status_code


@pytest.mark.fault("A3")
def test_a_model_that_ends_its_worker(
    make_layout: MakeLayout, serve: Serve, figure: Figure
) -> None:
    """Its own call is 502, the next one is answered, and the neighbour's are all along."""
    leaving = """
class Leaving(Obedient):
    def run_predict(self, X):
        return os._exit(0) if X["do"] == "exit" else super().run_predict(X)


Obedient = Leaving
"""
    before, load, after = obedient("hit").partition("\ndef load()")
    hit = Model(source=before + leaving + load + after, workers=1)
    server = serve(make_layout(hit=hit, calm=Model(source=obedient("calm"))))
    server.wait_until("/readyz")
    with Callers(server.url, 1, lambda _: NEIGHBOUR) as callers:
        for _ in range(3):
            assert exits(server) == 502
            assert server.post("/models/hit/predict", {"do": "echo", "value": 1}).json() == 1
    assert callers.failures == []
    figure("3 of 3 calls after `os._exit` answered")


LOAD_S = 1.5
SLOW = f"import time\ntime.sleep({LOAD_S})\n" + obedient("one")
"""A model that takes long to load."""


def waited_s(server: Server) -> float:
    """Kill the worker of a model that loads slowly, and return how long the next call takes."""
    pid = int(server.post("/models/one/predict", {"do": "pid"}).json())
    os.kill(pid, signal.SIGKILL)
    while is_running(pid):
        time.sleep(0.005)
    begun = time.monotonic()
    answer = server.post("/models/one/predict", {"do": "pid"})
    assert answer.status_code == 200
    assert answer.json() != pid
    return time.monotonic() - begun


def resident(server: Server) -> int:
    """Return how many workers there are."""
    return server.get("/metrics").text.count("stevedore_worker_resident_bytes{")


@pytest.mark.clock
@pytest.mark.fault("A3")
def test_a_spare_worker_takes_over(make_layout: MakeLayout, serve: Serve, figure: Figure) -> None:
    """With one at hand no call waits until another has loaded; and again, once it has."""
    server = serve(make_layout(one=Model(source=SLOW)), spare_workers="1")
    server.wait_until("/readyz")
    found = []
    for _ in range(2):
        time.sleep(LOAD_S + 1)
        assert resident(server) == 2
        found.append(waited_s(server))
    assert max(found) < LOAD_S / 2
    figure(
        f"a spare worker answers {max(found):.2f} s after a kill, where loading takes {LOAD_S} s"
    )


@pytest.mark.clock
@pytest.mark.control("A3")
def test_without_a_spare_worker_calls_wait(make_layout: MakeLayout, serve: Serve) -> None:
    """The same call waits as long as loading takes."""
    server = serve(make_layout(one=Model(source=SLOW)))
    server.wait_until("/readyz")
    assert waited_s(server) > LOAD_S / 2

"""A server on a layout, from the socket to the model and back."""

import os
import signal
import threading
import time

import pytest
from served_layout import MakeLayout, Model, Serve, Server, obedient


@pytest.fixture
def server(make_layout: MakeLayout, serve: Serve) -> Server:
    """A server of `one` and `two`, which share a worker, and of `own`, which has its own."""
    layout = make_layout(
        one=Model(source=obedient("one")),
        two=Model(source=obedient("two")),
        own=Model(source=obedient("own"), workers=1),
    )
    running = serve(layout, call_limit_s="3", deadline_s="2")
    running.wait_until("/readyz")
    return running


def test_predicts(server: Server) -> None:
    """A prediction is the bare JSON that the model returned."""
    answer = server.post("/models/one/predict", {"do": "echo", "value": [1, 2.5, "x", None]})
    assert (answer.status_code, answer.json()) == (200, [1, 2.5, "x", None])


@pytest.mark.clock
def test_a_slow_predict_delays_neither_liveness_nor_another_group(server: Server) -> None:
    """While one group works for 1.5 s, liveness and another group's predictions answer at once."""
    slow = threading.Thread(
        target=server.post, args=("/models/one/predict", {"do": "sleep", "value": 1.5})
    )
    slow.start()
    time.sleep(0.1)
    slowest = {"/livez": 0.0, "/models/own/predict": 0.0}
    for _ in range(20):
        for path, slowest_s in slowest.items():
            begun = time.monotonic()
            if path == "/livez":
                assert server.get(path).status_code == 200
            else:
                assert server.post(path, {"do": "echo"}).status_code == 200
            slowest[path] = max(slowest_s, time.monotonic() - begun)
    assert slow.is_alive()
    slow.join()
    assert max(slowest.values()) < 0.3, slowest


@pytest.mark.clock
def test_a_call_over_the_deadline_is_504_and_a_new_worker_takes_over(server: Server) -> None:
    """The deadline answers the caller; the limit of the call replaces the worker."""
    before = server.post("/models/own/predict", {"do": "pid"}).json()
    begun = time.monotonic()
    answer = server.post("/models/own/predict", {"do": "sleep", "value": 30})
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:ml-py-stevedore:problem:deadline-passed"
    assert time.monotonic() - begun < 2 + 1.5
    time.sleep(1.5)
    assert server.post("/models/own/predict", {"do": "pid"}).json() != before


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_worker_that_dies_loses_one_request(server: Server, number: int) -> None:
    """The request that the worker held is 502; the next one is answered by its replacement."""
    answer = server.post("/models/own/predict", {"do": "signal", "value": number})
    assert (answer.status_code, answer.json()["title"]) == (502, "The worker died")
    assert server.post("/models/own/predict", {"do": "echo", "value": 1}).json() == 1


def test_sigterm_ends_with_0_and_leaves_no_worker(server: Server) -> None:
    """A front that is told to stop takes its workers along and says it went well."""
    pid = server.post("/models/one/predict", {"do": "pid"}).json()
    assert server.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

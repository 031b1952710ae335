"""How a front stops: what it still answers, how long it takes, and that it always ends."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import served_layout
from raw_http import RawConnection, request
from served_layout import MakeLayout, Model, Serve, Server, is_running, obedient

Scale = Callable[[int, int], int]
Figure = Callable[[str], None]

PREDICT = "/models/one/predict"
BODY = b'{"do": "sleep", "value": 0.01}'
HEADERS = ("Content-Type: application/json", f"Content-Length: {len(BODY)}")
CLIENTS = 8
DELAY_S = 0.8
"""How long a front serves on in these tests."""


@pytest.fixture
def layout(make_layout: MakeLayout) -> Path:
    """A layout of the model `one`."""
    return make_layout(one=Model(source=obedient("one")))


class Clients:
    """Callers that each send one request after another, on a new connection or a kept one."""

    def __init__(self, server: Server) -> None:
        self.sent = 0
        self.lost: list[str] = []
        self._address = urlsplit(server.url).netloc
        self._are_told = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing new, and wait for what was sent."""
        self._are_told.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keeps: bool) -> None:  # noqa: FBT001  # how
        connection = http.client.HTTPConnection(self._address, timeout=20)
        while not self._are_told.is_set():
            self.sent += 1
            try:
                connection.request("POST", PREDICT, BODY, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except OSError as error:
                self.lost.append(repr(error))
                connection.close()
            else:
                if answer.status != http.client.OK:
                    self.lost.append(str(answer.status))
                if not keeps:
                    connection.close()
        connection.close()


def stop_under_load(server: Server, *, go_on_s: float) -> tuple[Clients, float, int]:
    """Send SIGTERM while clients send, who go on so long; return them, seconds and exit status."""
    clients = Clients(server)
    time.sleep(0.3)
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(go_on_s)
    clients.stop()
    status = server.process.wait(30)
    return clients, time.monotonic() - begun, status


@pytest.mark.clock
@pytest.mark.fault("B1")
def test_nothing_accepted_is_lost(layout: Path, serve: Serve, scale: Scale, figure: Figure) -> None:
    """What arrives while a load balancer learns of it is answered, and so is what runs then."""
    rounds, sent, slowest_s = scale(2, 100), 0, 0.0
    for _ in range(rounds):
        server = serve(layout, drain_delay_s=str(DELAY_S), drain_s="10")
        server.wait_until("/readyz")
        clients, seconds, status = stop_under_load(server, go_on_s=DELAY_S / 2)
        assert (clients.lost, status) == ([], 0)
        sent += clients.sent
        slowest_s = max(slowest_s, seconds)
    assert sent > rounds * CLIENTS
    assert slowest_s < DELAY_S + 10
    figure(
        f"0 of {sent} requests lost in {rounds} stops, the longest of which took {slowest_s:.1f} s"
    )


@pytest.mark.control("B1")
def test_callers_who_are_not_waited_for_are_lost(layout: Path, serve: Serve) -> None:
    """Where nothing is served after the signal, whoever still sends finds nobody."""
    server = serve(layout, drain_delay_s="0")
    server.wait_until("/readyz")
    clients, _, _ = stop_under_load(server, go_on_s=DELAY_S)
    assert clients.lost


@pytest.mark.clock
@pytest.mark.fault("B1")
def test_readiness_ends_at_once(layout: Path, serve: Serve) -> None:
    """While it serves on, a front says that it is not ready, and closes the connections it uses."""
    server = serve(layout, drain_delay_s="2")
    server.wait_until("/readyz")
    assert "connection" not in server.post(PREDICT, {"do": "echo"}).headers
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_until("/readyz", 503) < 0.5
    for answer in (server.post(PREDICT, {"do": "echo", "value": 1}), server.get("/livez")):
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert server.get("/readyz?verbose").json() == {"one": {"ready": False, "reason": "draining"}}
    assert server.process.wait(10) == 0


def hung_call(server: Server) -> RawConnection:
    """Have the only worker run for ever."""
    connection = RawConnection(server.url)
    body = b'{"do": "sleep", "value": 600}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    connection.send(request("POST", PREDICT, *headers, body=body))
    time.sleep(0.2)
    return connection


def half_sent_body(server: Server) -> RawConnection:
    """Send the half of a body."""
    connection = RawConnection(server.url)
    connection.send(request("POST", PREDICT, *HEADERS, body=BODY[:9]))
    return connection


def idle_connection(server: Server) -> RawConnection:
    """Keep a connection on which nothing is asked any more."""
    connection = RawConnection(server.url)
    connection.send(request("POST", PREDICT, *HEADERS, body=BODY))
    assert connection.answer().status == 200
    return connection


def stop(server: Server, number: int = signal.SIGTERM) -> tuple[float, int]:
    """Send a signal; return how long the front took to end, and its exit status."""
    begun = time.monotonic()
    server.process.send_signal(number)
    status = server.process.wait(30)
    return time.monotonic() - begun, status


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    ("occupy", "limit_s"), [(hung_call, 1 + 2), (half_sent_body, 1 + 2), (idle_connection, 1)]
)
def test_the_end_comes_in_time(  # noqa: PLR0913, PLR0917  # fixtures
    layout: Path,
    serve: Serve,
    scale: Scale,
    figure: Figure,
    occupy: Callable[[Server], RawConnection],
    limit_s: int,
) -> None:
    """Neither a hung model nor a client that does not go on keeps a front from stopping."""
    slowest_s = 0.0
    for _ in range(scale(1, 20)):
        server = serve(layout, drain_s="1", deadline_s="600", call_limit_s="600")
        server.wait_until("/readyz")
        with occupy(server):
            seconds, status = stop(server)
        assert status == 0
        slowest_s = max(slowest_s, seconds)
    assert slowest_s < scale(3 * limit_s, limit_s)  # beside other tests all takes longer
    figure(f"{occupy.__name__}: gone {slowest_s:.1f} s after the signal, with 1 s to drain")


@pytest.mark.control("B2")
@pytest.mark.control("B3")
def test_a_front_that_waits_for_a_hung_call(layout: Path, serve: Serve) -> None:
    """With a minute to drain, the same front is still there after the same time."""
    server = serve(layout, drain_s="60", deadline_s="600", call_limit_s="600")
    server.wait_until("/readyz")
    with hung_call(server):
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(2.5)


@pytest.mark.clock
@pytest.mark.fault("B3")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_all_at_once(
    layout: Path, serve: Serve, figure: Figure, second: int
) -> None:
    """Who does not want to wait need not; no worker is left."""
    server = serve(layout, drain_delay_s="20", deadline_s="600", call_limit_s="600")
    server.wait_until("/readyz")
    pid = server.post(PREDICT, {"do": "pid"}).json()
    with hung_call(server):
        server.process.send_signal(signal.SIGTERM)
        server.wait_until("/readyz", 503)
        seconds, status = stop(server, second)
    assert (status, seconds < 1) == (1, True), seconds
    begun = time.monotonic()
    while is_running(pid):
        assert time.monotonic() - begun < 3
        time.sleep(0.01)
    figure(f"{signal.Signals(second).name} after SIGTERM: gone within {seconds:.2f} s")


@pytest.mark.clock
def test_a_person_need_not_wait(layout: Path, serve: Serve) -> None:
    """SIGINT comes from a terminal, where no load balancer has to learn anything."""
    server = serve(layout, drain_delay_s="20")
    server.wait_until("/readyz")
    seconds, status = stop(server, signal.SIGINT)
    assert (status, seconds < 2) == (0, True)


@pytest.mark.clock
@pytest.mark.fault("B2")
def test_a_front_that_hangs_itself_ends_too(layout: Path) -> None:
    """Whatever keeps the event loop from ending, two seconds after all other times it is over."""
    hanging = (
        "import asyncio, runpy, sys\n"
        "from stevedore_api.group import WorkerGroup\n"
        "WorkerGroup.stop = lambda _: asyncio.sleep(600)\n"
        "sys.argv = ['stevedore_api']\n"
        "runpy.run_module('stevedore_api', run_name='__main__')"
    )
    front = subprocess.Popen(
        [sys.executable, "-S", "-c", hanging],
        env=served_layout.front_environ(layout, {"drain_s": "1"}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert front.stdout is not None
    with front.stdout as lines:
        assert "serving on" in json.loads(lines.readline())["message"]
        time.sleep(0.5)
        os.kill(front.pid, signal.SIGTERM)
        begun = time.monotonic()
        assert front.wait(10) == 1
        assert 1 < time.monotonic() - begun < 1 + 2 + 1
        last = json.loads(lines.read().splitlines()[-1])
    assert last["message"] == "cut off: what was not answered yet is lost"

"""Workers that are killed inside a container of the image, while it is asked from outside."""

import os
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Self

import httpx
import pytest
from image_under_test import StartContainer

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

SIGNALS = (9, 11, 6)
KILL = """
import os, sys
from pathlib import Path

children = Path("/proc/1/task/1/children").read_text().split()
workers = [int(pid) for pid in children if b"stevedore_core.worker" in
           Path("/proc", pid, "cmdline").read_bytes()]
which, number = map(int, sys.argv[1:])
victim = sorted(workers)[which % len(workers)]
os.kill(victim, number)
print(victim)
"""
"""Kill one of the workers, which are the children of the container's first process."""


class Outside:
    """Callers of every model of a container, one each, from `with` to its end."""

    def __init__(self, address: str, payloads: dict[str, str], expected: dict[str, str]) -> None:
        self.sent = dict.fromkeys(payloads, 0)
        self.failures: list[str] = []
        self._address = address
        self._payloads, self._expected = payloads, expected
        self._are_told = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(model,)) for model in payloads]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._are_told.set()
        for thread in self._threads:
            thread.join()

    def await_all(self) -> None:
        """Wait until every model has answered some more."""
        before, begun = dict(self.sent), time.monotonic()
        while any(self.sent[model] < before[model] + 5 for model in before):
            assert time.monotonic() - begun < 60, self.sent
            time.sleep(0.02)

    def _run(self, model: str) -> None:
        path = f"/models/{model.replace('@', '/versions/')}/predict"
        headers = {"Content-Type": "application/json"}
        with httpx.Client(base_url=self._address, timeout=30, headers=headers) as client:
            while not self._are_told.is_set():
                answer = client.post(path, content=self._payloads[model])
                if answer.text != self._expected[model]:
                    self.failures.append(f"{model}: {answer.status_code}")
                self.sent[model] += 1


@pytest.mark.fault("A3")
def test_workers_killed_inside_the_image(  # fixtures
    start_container: StartContainer,
    payloads: dict[str, str],
    predictions: dict[str, str],
    scale: Scale,
    figure: Figure,
) -> None:
    """Each death costs one request at most, and every model answers again, as it does alone."""
    container = start_container("--publish=127.0.0.1::8000")
    kills = scale(2, 100)
    with Outside(container.address(), payloads, predictions) as callers:
        for number in range(kills):
            callers.await_all()
            container.inside("-c", KILL, str(number), str(SIGNALS[number % len(SIGNALS)]))
        callers.await_all()
    assert len(callers.failures) <= kills
    assert {failure.rpartition(" ")[2] for failure in callers.failures} <= {"502"}
    container.await_ready()  # a kill may have hit a self-test
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    figure(
        f"image of {composition}: {kills} kills cost {len(callers.failures)} of "
        f"{sum(callers.sent.values())} requests"
    )


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with 502."""

    def do_POST(self) -> None:
        """Refuse it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(HTTPStatus.BAD_GATEWAY)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.control("A3")
def test_what_is_answered_otherwise_is_counted() -> None:
    """Callers of a server that answers nothing as it is due count every request of theirs."""
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        with Outside(f"http://127.0.0.1:{server.server_port}", {"a": "1"}, {"a": "2"}) as callers:
            callers.await_all()
        server.shutdown()
        serving.join()
    assert callers.failures == ["a: 502"] * callers.sent["a"]

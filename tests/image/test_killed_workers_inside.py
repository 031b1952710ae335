"""Workers that are killed inside a container of the image, while it is asked from outside."""

import os
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from image_under_test import StartContainer
from outside import Outside

pytestmark = pytest.mark.stress

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

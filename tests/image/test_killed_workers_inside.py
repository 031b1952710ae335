"""Workers that are killed inside a container of the image, while it is asked from outside."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx
import pytest
from image_under_test import Container, StartContainer, engine

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

SIGNALS = (6, 9, 11)
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


def outside(container: Container) -> str:
    """Return the address at which a container is reached."""
    printed = engine("port", container.name, "8000/tcp").stdout
    return f"http://{printed.splitlines()[0]}"


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
    kills = scale(3, 100)
    with Outside(outside(container), payloads, predictions) as callers:
        for number in range(kills):
            callers.await_all()
            container.inside("-c", KILL, str(number), str(SIGNALS[number % len(SIGNALS)]))
        callers.await_all()
    assert len(callers.failures) <= kills
    assert {failure.rpartition(" ")[2] for failure in callers.failures} <= {"502"}
    assert httpx.get(f"{outside(container)}/readyz").json() == "READY"
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    figure(
        f"image of {composition}: {kills} kills cost {len(callers.failures)} of "
        f"{sum(callers.sent.values())} requests"
    )


@pytest.mark.control("A3")
def test_what_is_answered_otherwise_is_counted(
    start_container: StartContainer, payloads: dict[str, str], predictions: dict[str, str]
) -> None:
    """A model that is expected to answer something else fails each time."""
    container = start_container("--publish=127.0.0.1::8000")
    other = dict.fromkeys(predictions, json.dumps("otherwise"))
    with Outside(outside(container), payloads, other) as callers:
        callers.await_all()
    assert len(callers.failures) == sum(callers.sent.values()) > 0

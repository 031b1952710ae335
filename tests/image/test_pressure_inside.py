"""Larger requests than a container of the image can hold."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from image_under_test import StartContainer, engine

pytestmark = pytest.mark.stress

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

JSON = {"Content-Type": "application/json"}
AGAIN_S = 0.1
"""How soon a caller that was refused, and a probe, asks again."""
DENSE = b"[" + b",".join([b'{"":0}'] * 499_999) + b",0" * (2 << 20) + b"]"
"""7 MiB that become 140: as many objects as are read, and numbers."""


def ask(address: str, for_s: float, callers: Sequence[tuple[str, bytes]]) -> Counter[str]:
    """Have each caller send its body to its path, and a GET where there is none; count answers.

    The keys are like `predict 200`; `0` stands for no answer.
    """
    found: Counter[str] = Counter()
    are_ready = threading.Barrier(len(callers))

    def ask_on(path: str, body: bytes) -> None:
        connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
        are_ready.wait()
        give_up = time.monotonic() + for_s
        while time.monotonic() < give_up:
            status = 0
            try:
                connection.request("POST" if body else "GET", path, body or None, JSON)
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (HTTPException, OSError):
                connection.close()  # the next request opens it again
            if time.monotonic() < give_up or status != HTTPStatus.OK:
                found[f"{path.rpartition('/')[2]} {status}"] += 1
            time.sleep(AGAIN_S if status != HTTPStatus.OK or not body else 0)
        connection.close()

    threads = [threading.Thread(target=ask_on, args=caller) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.fault("B6")
def test_memory_runs_out_inside_the_image(
    start_container: StartContainer, payloads: dict[str, str], scale: Scale, figure: Figure
) -> None:
    """In 256 MiB, payloads that need as much again end a worker at worst, and never the front."""
    container = start_container("--publish=127.0.0.1::8000", "--memory=256m", "--memory-swap=256m")
    started = engine("inspect", "--format", "{{.State.StartedAt}}", container.name).stdout
    path = f"/models/{next(iter(payloads)).replace('@', '/versions/')}/predict"
    for_s = scale(4, 75)
    found = ask(container.address(), for_s, [*[(path, DENSE)] * 4, ("/livez", b"")])
    assert engine("inspect", "--format", "{{.State.StartedAt}}", container.name).stdout == started
    assert {key for key in found if key.startswith("livez")} == {"livez 200"}
    # 0: a connection that was refused, and closed, while its body was still being sent.
    assert found.keys() <= {f"predict {s}" for s in (0, 422, 429, 502, 503, 504)} | {"livez 200"}
    container.await_ready()
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    figure(f"image of {composition}, {for_s} s at 256 MiB: {dict(found)}, and the front lived")

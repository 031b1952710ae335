"""More requests, and larger ones, than a container of the image can hold."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import pytest
from image_under_test import StartContainer, engine

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

JSON = {"Content-Type": "application/json"}
ROWS = 1_000
AGAIN_S = 0.1
"""How soon a caller that was refused, and a probe, asks again."""
FEW, MANY = 8, 60
"""Callers that a queue of 16 holds, and ones that it does not."""
LEAST_GOODPUT = 0.9
SLACK = 3
"""How much further from the promise than allowed it may be on a busy machine, at small scale."""
DENSE = b"[" + b",".join([b"[]"] * 2_500_000) + b"]"
"""7 MiB that become 180."""


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


def long_call(address: str, payloads: dict[str, str]) -> tuple[str, bytes]:
    """Return the path and body of a call that takes long, as far as its schema lets it."""
    model, example = next(iter(payloads.items()))
    path = f"/models/{model.replace('@', '/versions/')}/predict"
    rows = json.loads(example)
    longer = json.dumps(rows * (ROWS // len(rows))).encode() if isinstance(rows, list) else b""
    is_taken = longer and httpx.post(address + path, content=longer, headers=JSON).is_success
    return path, longer if is_taken else example.encode()


@pytest.mark.fault("C5")
def test_overload_inside_the_image(
    start_container: StartContainer, payloads: dict[str, str], scale: Scale, figure: Figure
) -> None:
    """Callers that are refused soon ask again: what fits is answered on, and probes are."""
    container = start_container(
        "--publish=127.0.0.1::8000", "--env=STEVEDORE_MAX_QUEUED=16", "--env=STEVEDORE_MAX_BATCH=1"
    )
    address, for_s = container.address(), scale(3, 60)
    call = long_call(address, payloads)
    peak = ask(address, for_s / 3, [call] * FEW)["predict 200"] / (for_s / 3)
    found = ask(address, for_s, [*[call] * MANY, ("/livez", b""), ("/readyz", b"")])
    goodput = found["predict 200"] / for_s / peak
    assert found.keys() <= {"predict 200", "predict 429", "livez 200", "readyz 200"}
    assert found["predict 429"] > 0
    assert min(found["livez 200"], found["readyz 200"]) > for_s
    assert goodput >= 1 - (1 - LEAST_GOODPUT) * scale(SLACK, 1)
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    times = (found["predict 200"] + found["predict 429"]) / for_s / peak
    probes = found["livez 200"] + found["readyz 200"]
    figure(
        f"image of {composition}: {times:.0f} times the peak, goodput {100 * goodput:.0f} % of it, "
        f"{probes} of {probes} probes answered"
    )


@pytest.mark.control("C5")
def test_without_a_bound_nothing_is_refused_inside(
    start_container: StartContainer, payloads: dict[str, str]
) -> None:
    """Where the queue holds all callers, the same load is no overload: none is 429."""
    container = start_container("--publish=127.0.0.1::8000", "--env=STEVEDORE_MAX_BATCH=1")
    address = container.address()
    found = ask(address, 1, [long_call(address, payloads)] * MANY)
    assert found["predict 200"] > 0
    assert found["predict 429"] == 0


@pytest.mark.fault("B6")
def test_memory_runs_out_inside_the_image(
    start_container: StartContainer, payloads: dict[str, str], scale: Scale, figure: Figure
) -> None:
    """In 256 MiB, payloads that need as much again end a worker at worst, and never the front."""
    container = start_container("--publish=127.0.0.1::8000", "--memory=256m", "--memory-swap=256m")
    started = engine("inspect", "--format", "{{.State.StartedAt}}", container.name).stdout
    path, _ = long_call(container.address(), payloads)
    for_s = scale(4, 75)
    found = ask(container.address(), for_s, [*[(path, DENSE)] * 4, ("/livez", b"")])
    assert engine("inspect", "--format", "{{.State.StartedAt}}", container.name).stdout == started
    assert {key for key in found if key.startswith("livez")} == {"livez 200"}
    # 0: a connection that was refused, and closed, while its body was still being sent.
    assert found.keys() <= {f"predict {s}" for s in (0, 422, 429, 502, 503, 504)} | {"livez 200"}
    container.await_ready()
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    figure(f"image of {composition}, {for_s} s at 256 MiB: {dict(found)}, and the front lived")

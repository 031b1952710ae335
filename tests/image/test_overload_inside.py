"""More requests than a model in a container of the image can answer, sent from outside.

With its packaged example a model is done in less than a millisecond, and no generator in Python
sends ten times as many requests as that. So what is sent is as many examples as fit into 128 KiB,
to predict or to score, of the model that takes longest for them: some ten milliseconds a call, of
which the front, that refuses most of them, needs next to none. A body that long goes alone.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from image_under_test import StartContainer
from overload import MAX_QUEUED, SLACK, TIMES, overload, split_cores
from raw_http import request
from served import MODELS, post

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

BODY_BYTES = 128 << 10
MOST_EXAMPLES = 10_000
"""As many as models here take at once."""


@pytest.fixture(autouse=True)
def own_core() -> Iterator[set[int]]:
    """The core of this process, once the container is started on the others."""
    with split_cores() as core:
        yield core


def many(examples: str) -> str:
    """Return the examples, over and over."""
    parsed = json.loads(examples)
    times = min(BODY_BYTES // len(json.dumps(parsed)), MOST_EXAMPLES // len(parsed))
    return json.dumps(parsed * times)


def slowest(address: str) -> bytes:
    """Return the request that takes longest to answer."""
    found = []
    with httpx.Client(base_url=address, timeout=30) as client:
        for model in MODELS.values():
            for verb in ("predict", "score"):
                path, body = f"{model.place}/{verb}", many(model.example(verb))
                for _ in range(2):  # the first one warms up
                    begun = time.perf_counter()
                    assert post(client, path, body).status_code == 200
                    took_s = time.perf_counter() - begun
                found.append((took_s, path, body))
    _, path, body = max(found)
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return request("POST", path, *lines, body=body.encode())


@pytest.mark.fault("C5")
@pytest.mark.parametrize("times", TIMES)
def test_overload_inside_the_image(
    start_container: StartContainer, own_core: set[int], times: int, scale: Scale, figure: Figure
) -> None:
    """What a model can answer it goes on answering; all else is 429 at once, and probes answer."""
    if times != scale(10, times):
        pytest.skip("it takes a machine that does nothing else")
    container = start_container(
        "--publish=127.0.0.1::8000", f"--env=STEVEDORE_MAX_QUEUED={MAX_QUEUED}"
    )
    os.sched_setaffinity(0, own_core)
    address = container.address()
    data = slowest(address)
    found = asyncio.run(
        overload(address, data, times=times, for_s=scale(4, 60), rounds=scale(3, 6))
    )
    assert found.faults(scale(SLACK, 1)) == []
    assert len(found.refused) > (1 - 2 / times) * len(found.calls)  # it was as many times
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    figure(f"image of {composition}, {times} times the peak of {found.peaks[0]:.0f}/s: {found}")


@pytest.mark.control("C5")
def test_a_queue_without_bound_inside_is_seen(
    start_container: StartContainer, own_core: set[int]
) -> None:
    """Where nothing is refused, what is accepted waits too long."""
    container = start_container("--publish=127.0.0.1::8000", "--env=STEVEDORE_MAX_QUEUED=100000")
    os.sched_setaffinity(0, own_core)
    address = container.address()
    found = asyncio.run(overload(address, slowest(address), times=4, for_s=1.5))
    assert any(fault.startswith("accepted p99") for fault in found.faults(SLACK))

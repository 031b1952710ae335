"""More requests than a model can answer: what is taken is answered, the rest refused at once.

The model takes 20 ms a call and leaves the processor to others meanwhile, so that the server with
its workers needs one core; the generator has another.
"""

import asyncio
import os
from collections.abc import Callable, Iterator

import pytest
from open_loop import Load, Sample, percentile_s
from overload import MAX_QUEUED, SLACK, TIMES, Overload, overload, split_cores
from raw_http import request
from served_layout import MakeLayout, Model, Serve, Server, obedient

pytestmark = [pytest.mark.clock, pytest.mark.stress]

CALL_S = 0.02
RECOVERY_LIMIT_S = 2.0
NEIGHBOUR_LIMIT = 1.5


def call(model: str) -> bytes:
    """Return a request that takes the model's time."""
    body = b'{"do": "sleep", "value": %g}' % CALL_S
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return request("POST", f"/models/{model}/predict", *lines, body=body)


@pytest.fixture(autouse=True)
def own_core() -> Iterator[set[int]]:
    """The core of this process, once the server is started on the others."""
    with split_cores() as core:
        yield core


@pytest.fixture
def server(make_layout: MakeLayout, serve: Serve, own_core: set[int]) -> Server:
    """A server of `one` and `two`, which share a worker, and of `own`, which has its own."""
    models = {name: Model(source=obedient(name)) for name in ("one", "two", "own")}
    models["own"].workers = 1
    running = serve(make_layout(**models), max_queued=str(MAX_QUEUED))
    running.wait_until("/readyz")
    os.sched_setaffinity(0, own_core)
    return running


@pytest.mark.fault("C5")
@pytest.mark.parametrize("times", TIMES)
def test_overload(
    server: Server, times: int, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """What a model can answer it goes on answering; all else is 429 at once, and probes answer."""
    if times > scale(10, 50):
        pytest.skip("it takes a machine that does nothing else")
    found = asyncio.run(
        overload(server.url, call("one"), times=times, for_s=scale(3, 60), rounds=scale(3, 6))
    )
    assert found.faults(scale(SLACK, 1)) == []
    figure(f"{times} times the peak: {found}")


@pytest.fixture
def patient(make_layout: MakeLayout, serve: Serve, own_core: set[int]) -> Server:
    """A server that refuses nothing: whatever comes may wait."""
    layout = make_layout(one=Model(source=obedient("one")))
    running = serve(layout, max_queued="100000")
    running.wait_until("/readyz")
    os.sched_setaffinity(0, own_core)
    return running


@pytest.mark.control("C5")
@pytest.mark.control("C6")
def test_a_queue_without_bound_is_seen(patient: Server) -> None:
    """Where nothing is refused, what is accepted waits too long, and long after the overload."""

    async def both() -> tuple[Overload, float]:
        found = await overload(patient.url, call("one"), times=4, for_s=1.5)
        return found, max(sample.due_at + sample.took_s for sample in found.calls)

    found, last_at = asyncio.run(both())
    assert any(fault.startswith("accepted p99") for fault in found.faults(SLACK))
    assert last_at - 1.5 > RECOVERY_LIMIT_S


def recovered_after_s(samples: list[Sample], limit_s: float) -> float:
    """Return from when on no request takes longer than `limit_s`, but for one in a hundred."""
    left = sorted(samples, key=lambda sample: sample.due_at)
    while left and percentile_s(left) > limit_s:
        slowest = max(left, key=lambda sample: sample.took_s)
        left = [sample for sample in left if sample.due_at > slowest.due_at]
    return left[0].due_at if left else float("inf")


@pytest.mark.fault("C6")
def test_recovery(
    server: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """After idleness and an overload out of it, calls take within 2 s what they took before."""

    async def measure() -> tuple[float, float, float]:
        half = Load(url=server.url, data=call("one"), per_s=0.4 / CALL_S, for_s=scale(1, 20))
        before_s = percentile_s(await half.run())
        await asyncio.sleep(scale(1, 20))
        await overload(server.url, call("one"), times=10, for_s=scale(1, 10))
        half.for_s = RECOVERY_LIMIT_S + scale(1, 4)
        samples = await half.run()
        assert {sample.status for sample in samples} == {200}
        limit_s = max(2 * before_s, 5 * CALL_S)
        return before_s, recovered_after_s(samples, limit_s), percentile_s(samples)

    before_s, recovered_s, after_s = asyncio.run(measure())
    assert recovered_s < RECOVERY_LIMIT_S * scale(2, 1)
    figure(
        f"back to normal {recovered_s:.2f} s after 10 times the peak "
        f"(p99 {1_000 * before_s:.0f} ms before, {1_000 * after_s:.0f} ms after)"
    )


async def neighbours(
    url: str, neighbour: str, for_s: float, share: float = 0.99
) -> tuple[float, float]:
    """Return in what time that share of a model's calls ends, without and with an overload."""
    calls = Load(url=url, data=call(neighbour), per_s=0.3 / CALL_S, for_s=for_s)
    alone_s = percentile_s(await calls.run(), share)
    beside, _ = await asyncio.gather(calls.run(), overload(url, call("one"), times=4, for_s=for_s))
    answered = [sample for sample in beside if sample.status == 200]
    assert len(answered) == len(beside)
    return alone_s, percentile_s(answered, share)


@pytest.mark.fault("C7")
def test_another_group_does_not_notice(
    server: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """While `one` gets four times what it can answer, `own` answers about as fast as ever."""
    alone_s, beside_s = asyncio.run(neighbours(server.url, "own", scale(2, 60)))
    assert beside_s <= alone_s * (1 + (NEIGHBOUR_LIMIT - 1) * scale(SLACK, 1))
    figure(f"p99 {1_000 * alone_s:.0f} ms alone, {1_000 * beside_s:.0f} ms beside an overload")


@pytest.mark.control("C7")
def test_a_neighbour_in_the_same_group_notices(server: Server) -> None:
    """`two` shares the worker of `one`, takes turns with it, and is seen to be slower."""
    alone_s, beside_s = asyncio.run(neighbours(server.url, "two", 1, 0.5))
    assert beside_s > alone_s * NEIGHBOUR_LIMIT

"""More requests than a model can answer: what is taken is answered, the rest refused at once.

The model takes 20 ms a call and leaves the processor to others meanwhile, so that the server with
its workers needs one core; the generator has another. An overload comes in rounds: before and after
each the peak is measured, for other work on the machine may come and go.
"""

import asyncio
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from open_loop import Load, Sample, goodput, measure_peak, percentile_s
from raw_http import request
from served_layout import MakeLayout, Model, Serve, Server, obedient

pytestmark = pytest.mark.clock

CALL_S = 0.02
MAX_QUEUED = 16
QUEUE_S = (MAX_QUEUED + 2) * CALL_S
REJECT_LIMIT_S = 0.05
PROBE_LIMIT_S = 0.1
RECOVERY_LIMIT_S = 2.0
QUEUE_MARGIN = 1.25
"""How much longer than a full queue takes at the peak a call may wait that was accepted."""
LEAST_GOODPUT = 0.9
NEIGHBOUR_LIMIT = 1.5
SLACK = 3
"""How much further from the promise than allowed it may be on a busy machine, at small scale."""

TIMES = (2, 10, 50)


def call(model: str) -> bytes:
    """Return a request that takes the model's time."""
    body = b'{"do": "sleep", "value": %g}' % CALL_S
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return request("POST", f"/models/{model}/predict", *lines, body=body)


def probe(path: str) -> bytes:
    """Return a probe."""
    return request("GET", path)


@pytest.fixture(autouse=True)
def own_cores() -> Iterator[tuple[set[int], set[int]]]:
    """The cores of the server, which is started on them, and of this process."""
    all_cores = os.sched_getaffinity(0)
    first = {min(all_cores)}
    os.sched_setaffinity(0, (all_cores - first) or first)
    yield (all_cores - first) or first, first
    os.sched_setaffinity(0, all_cores)


@pytest.fixture
def server(make_layout: MakeLayout, serve: Serve, own_cores: tuple[set[int], set[int]]) -> Server:
    """A server of `one` and `two`, which share a worker, and of `own`, which has its own."""
    models = {name: Model(source=obedient(name)) for name in ("one", "two", "own")}
    models["own"].workers = 1
    running = serve(make_layout(**models), max_queued=str(MAX_QUEUED))
    running.wait_until("/readyz")
    os.sched_setaffinity(0, own_cores[1])
    return running


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """What an overload came to."""

    peaks: list[float]
    """Requests a second, before the first round and after each."""
    goodputs: list[float]
    """The share of the peak that is answered, in each round."""
    calls: list[Sample]
    probes: list[Sample]

    def faults(self, slack: float) -> list[str]:
        """Return what is not as promised; `slack` is 1 where the machine is quiet."""
        accepted = [sample for sample in self.calls if sample.status == 200]
        refused = [sample for sample in self.calls if sample.status == 429]
        least = 1 - (1 - LEAST_GOODPUT) * slack
        checks = {
            f"goodput {self.goodput:.2f} of peak": self.goodput >= least,
            f"{len(self.calls) - len(accepted) - len(refused)} answers beside 200 and 429": (
                len(accepted) + len(refused) == len(self.calls)
            ),
            f"accepted p99 {percentile_s(accepted):.3f} s": (
                percentile_s(accepted) <= QUEUE_MARGIN * (MAX_QUEUED + 2) / min(self.peaks) * slack
            ),
            f"refused p99 {percentile_s(refused):.3f} s": (
                percentile_s(refused) < REJECT_LIMIT_S * slack
            ),
            "a probe failed": all(sample.status == 200 for sample in self.probes),
            f"probes p99 {percentile_s(self.probes):.3f} s": (
                percentile_s(self.probes) < PROBE_LIMIT_S * slack
            ),
        }
        return [fault for fault, is_kept in checks.items() if not is_kept]

    @property
    def goodput(self) -> float:
        """The share of the peak that is answered during the overload, in a usual round."""
        return statistics.median(self.goodputs)

    def __str__(self) -> str:
        refused = [sample for sample in self.calls if sample.status == 429]
        return (
            f"goodput {100 * self.goodput:.0f} % of peak, 429 p99 "
            f"{1_000 * percentile_s(refused):.0f} ms, {len(self.probes)} probes answered"
        )


async def overload(url: str, times: float, for_s: float, rounds: int = 1) -> Overload:
    """Send so many times the peak of `one`, and probes beside it, in so many rounds."""
    peak_s = max(0.7, for_s / rounds / 10)
    before = await measure_peak(url, call("one"), connections=8, for_s=peak_s)
    found = Overload(peaks=[before], goodputs=[], calls=[], probes=[])
    for _ in range(rounds):
        calls, *probes = await asyncio.gather(
            Load(url=url, data=call("one"), per_s=times * before, for_s=for_s / rounds).run(),
            *(
                Load(url=url, data=probe(path), per_s=10, for_s=for_s / rounds).run()
                for path in ("/livez", "/readyz")
            ),
        )
        await asyncio.sleep(QUEUE_S)
        after = await measure_peak(url, call("one"), connections=8, for_s=peak_s)
        found.peaks.append(after)
        found.goodputs.append(goodput(calls, for_s / rounds) / ((before + after) / 2))
        found.calls.extend(calls)
        found.probes.extend(sample for samples in probes for sample in samples)
        before = after
    return found


@pytest.mark.fault("C5")
@pytest.mark.parametrize("times", TIMES)
def test_overload(
    server: Server, times: int, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """What a model can answer it goes on answering; all else is 429 at once, and probes answer."""
    if times > scale(10, 50):
        pytest.skip("it takes a machine that does nothing else")
    found = asyncio.run(overload(server.url, times, scale(3, 60), rounds=scale(3, 6)))
    assert found.faults(scale(SLACK, 1)) == []
    figure(f"{times} times the peak: {found}")


@pytest.fixture
def patient(make_layout: MakeLayout, serve: Serve, own_cores: tuple[set[int], set[int]]) -> Server:
    """A server that refuses nothing: whatever comes may wait."""
    layout = make_layout(one=Model(source=obedient("one")))
    running = serve(layout, max_queued="100000")
    running.wait_until("/readyz")
    os.sched_setaffinity(0, own_cores[1])
    return running


@pytest.mark.control("C5")
@pytest.mark.control("C6")
def test_a_queue_without_bound_is_seen(patient: Server) -> None:
    """Where nothing is refused, what is accepted waits too long, and long after the overload."""

    async def both() -> tuple[Overload, float]:
        found = await overload(patient.url, 4, 1.5)
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
        await overload(server.url, 10, scale(1, 10))
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
    beside, _ = await asyncio.gather(calls.run(), overload(url, 4, for_s))
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

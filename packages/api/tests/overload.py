"""An overload: several times as many requests as a model can answer, and what came of it.

It comes in rounds: before and after each the peak is measured, for other work on the machine may
come and go. Served by the tests' own models in `test_overload`, by those of an image in
`tests/image`.
"""

import asyncio
import os
import statistics
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from open_loop import Load, Sample, goodput, measure_peak, percentile_s
from raw_http import request

__all__ = ["MAX_QUEUED", "SLACK", "TIMES", "Overload", "overload", "split_cores"]

TIMES = (2, 10, 50)
MAX_QUEUED = 16
REJECT_LIMIT_S = 0.05
PROBE_LIMIT_S = 0.1
QUEUE_MARGIN = 0.25
"""How many more calls may be answered before another than a full queue and two workers hold: one
that was sent late counts from when it was due."""
LEAST_GOODPUT = 0.9
SLACK = 3
"""How much further from the promise than allowed it may be on a busy machine, at small scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """What an overload of a model for which `MAX_QUEUED` requests may wait came to."""

    peaks: list[float]
    """Requests a second, before the first round and after each."""
    goodputs: list[float]
    """The share of the peak that is answered, in each round."""
    calls: list[Sample]
    probes: list[Sample]
    waited_for: list[int]
    """How many other calls were answered while each accepted call waited for its answer."""

    def faults(self, slack: float) -> list[str]:
        """Return what is not as promised; `slack` is 1 where the machine is quiet."""
        refused = self.refused
        least = 1 - (1 - LEAST_GOODPUT) * slack
        checks = {
            f"goodput {self.goodput:.2f} of peak": self.goodput >= least,
            f"{len(self.calls) - len(self.waited_for) - len(refused)} beside 200 and 429": (
                len(self.waited_for) + len(refused) == len(self.calls)
            ),
            f"accepted p99 after {self.waited_for_p99} others": (
                self.waited_for_p99 <= (1 + QUEUE_MARGIN * slack) * (MAX_QUEUED + 2)
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

    @property
    def waited_for_p99(self) -> int:
        """How many others were answered before one that was accepted, but for one in a hundred."""
        return sorted(self.waited_for)[int(len(self.waited_for) * 0.99)] if self.waited_for else 0

    @property
    def refused(self) -> list[Sample]:
        """The calls for which there was no place."""
        return [sample for sample in self.calls if sample.status == 429]

    def __str__(self) -> str:
        return (
            f"goodput {100 * self.goodput:.0f} % of peak, accepted p99 after {self.waited_for_p99} "
            f"others, 429 p99 {1_000 * percentile_s(self.refused):.0f} ms, {len(self.probes)} "
            "probes answered"
        )


async def overload(
    url: str, data: bytes, *, times: float, for_s: float, rounds: int = 1
) -> Overload:
    """Send the request `data` so many times as often as it is answered, and probes beside it."""
    peak_s = max(0.7, for_s / rounds / 10)
    before = await measure_peak(url, data, connections=8, for_s=peak_s)
    found = Overload(peaks=[before], goodputs=[], calls=[], probes=[], waited_for=[])
    for _ in range(rounds):
        calls, *probes = await asyncio.gather(
            Load(url=url, data=data, per_s=times * before, for_s=for_s / rounds).run(),
            *(
                Load(url=url, data=request("GET", path), per_s=10, for_s=for_s / rounds).run()
                for path in ("/livez", "/readyz")
            ),
        )
        after = await measure_peak(url, data, connections=8, for_s=peak_s)
        found.peaks.append(after)
        found.goodputs.append(goodput(calls, for_s / rounds) / ((before + after) / 2))
        found.calls.extend(calls)
        found.waited_for.extend(count_others(calls))
        found.probes.extend(sample for samples in probes for sample in samples)
        before = after
    return found


def count_others(calls: Sequence[Sample]) -> list[int]:
    """Return how many others were answered while each accepted call of one load waited.

    Unlike a time it is the same however fast a machine is at the moment: a queue that is bounded
    holds no more than its bound.
    """
    accepted = [call for call in calls if call.status == 200]
    ends = sorted(call.due_at + call.took_s for call in accepted)
    return [
        bisect_left(ends, call.due_at + call.took_s) - bisect_left(ends, call.due_at)
        for call in accepted
    ]


@contextmanager
def split_cores() -> Iterator[set[int]]:
    """Start what is started now on all cores but one; return that one, for who sends."""
    all_cores = os.sched_getaffinity(0)
    first = {min(all_cores)}
    os.sched_setaffinity(0, (all_cores - first) or first)
    try:
        yield first
    finally:
        os.sched_setaffinity(0, all_cores)

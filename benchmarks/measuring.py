"""Rounds: every contender in turn on every workload, again and again, so that all share the noise.

`__main__` calls it; `report` shows what it returns.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.contenders import Contender
from benchmarks.errors import BenchmarkError
from benchmarks.load import send_load
from benchmarks.prepare import Preparation
from benchmarks.running import free_port, started
from benchmarks.workloads import Workload, requests_of

__all__ = ["Failed", "Measured", "Plan", "measure", "measure_once", "median", "ratios"]


_LEAST_CPU = 0.01
"""What the operating system counts in steps of; nothing less is told from nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How long, how often, and on which cores."""

    rounds: int
    seconds: float
    warm_up_s: float
    server_cores: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One contender on one workload in one round."""

    server: str
    workload: str
    round: int
    per_second: float
    p50_s: float
    p99_s: float
    server_cpu: float
    """The share of one core that the server's processes used, 0 to the number of its cores."""
    generator_cpu: float
    memory_bytes: int
    """After the load, shared pages counted in parts."""
    requests: int

    @property
    def per_cpu_second(self) -> float:
        """Requests per second of CPU that the server used: less moved by what else runs here."""
        return self.per_second / max(self.server_cpu, _LEAST_CPU)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Why a contender has no figures for a workload."""

    server: str
    workload: str
    reason: str


def measure(
    contenders: Sequence[Contender],
    workloads: Sequence[Workload],
    plan: Plan,
    *,
    preparation: Preparation,
    tell: Callable[[Measured | Failed], None],
) -> tuple[list[Measured], list[Failed]]:
    """Return what every round gave, and what failed; also tells of each as it comes.

    A contender that fails on a workload is not tried on it again, and has no figures for it.
    """
    found: list[Measured] = []
    failed: dict[tuple[str, str], Failed] = {}
    for number in range(1, plan.rounds + 1):
        for workload in workloads:
            for contender in contenders:
                key = (contender.name, workload.name)
                if key in failed:
                    continue
                try:
                    found.append(measure_once(contender, workload, plan, number, preparation))
                    tell(found[-1])
                except BenchmarkError as error:
                    failed[key] = Failed(
                        server=contender.name, workload=workload.name, reason=str(error)
                    )
                    tell(failed[key])
    whole = [m for m in found if (m.server, m.workload) not in failed]
    return whole, list(failed.values())


def median(
    found: Sequence[Measured], server: str, workload: str, value: Callable[[Measured], float]
) -> float:
    """Return the median over the rounds of one value of a contender on a workload."""
    return statistics.median(
        value(m) for m in found if (m.server, m.workload) == (server, workload)
    )


def ratios(
    found: Sequence[Measured],
    server: str,
    workload: str,
    value: Callable[[Measured], float],
    *,
    to: str,
) -> Sequence[float]:
    """Return, round by round, a contender's value relative to that of the contender `to`."""
    values: Mapping[tuple[str, int], float] = {
        (m.server, m.round): value(m) for m in found if m.workload == workload
    }
    rounds = sorted(number for name, number in values if name == server and (to, number) in values)
    return [values[server, number] / values[to, number] for number in rounds]


def measure_once(
    contender: Contender,
    workload: Workload,
    plan: Plan,
    number: int,
    preparation: Preparation,
) -> Measured:
    """Start a contender, warm it up, measure it, stop it.

    Raises:
        ServerFailed: It does not start.
        WrongAnswer: It gave another than the known answer.
    """
    known = preparation.known(workload.model)
    (probe, *_) = (contender.exchange(workload.model, k) for k in requests_of(1, known))
    exchanges = [
        contender.exchange(workload.model, request) for request in requests_of(workload.rows, known)
    ]
    port = free_port()
    command = contender.command(preparation, workload, port)
    log = preparation.logs / f"{contender.name}.log"
    with started(command, port=port, cores=plan.server_cores, probe=probe, log=log) as running:
        send_load(
            running.address,
            exchanges,
            connections=workload.connections,
            seconds=plan.warm_up_s,
        )
        used = running.cpu_s()
        load = send_load(
            running.address,
            exchanges,
            connections=workload.connections,
            seconds=plan.seconds,
        )
        used = running.cpu_s() - used
        return Measured(
            server=contender.name,
            workload=workload.name,
            round=number,
            per_second=load.per_second,
            p50_s=load.percentile(0.5),
            p99_s=load.percentile(0.99),
            server_cpu=used / load.seconds,
            generator_cpu=load.generator_cpu,
            memory_bytes=running.memory_bytes(),
            requests=len(load.latencies_s),
        )

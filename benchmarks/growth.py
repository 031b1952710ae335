"""How the cost of serving grows: with models, with rows, with workers. `__main__` calls it."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.contenders import Ours, TensorScript
from benchmarks.measuring import Measured, Plan, measure_once
from benchmarks.prepare import Copy, Preparation
from benchmarks.workloads import chosen

__all__ = ["Growth", "compare_three", "grow"]

_MODELS = (1, 10, 100)
_ROWS = (1, 10, 100, 1_000, 10_000)
_WORKERS = (1, 2)
_THREE = (
    Copy(original="logistic", name="logistic"),
    Copy(original="forest", name="forest"),
    Copy(original="logistic", name="third"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What one amount of something gave."""

    what: str
    """`models`, `rows` or `workers`; `ours` or `mlserver` with three models."""
    amount: int
    per_second: float
    p50_s: float
    memory_bytes: int


def grow(
    plan: Plan, *, preparation: Preparation, tell: Callable[[Growth], None]
) -> tuple[Growth, ...]:
    """Return the growth of all three; each amount is measured in every round, in turn.

    Raises:
        ServerFailed: A layout cannot be made or does not start.
        WrongAnswer: It gave another than the known answer.
    """
    found: list[Growth] = []
    for what, amounts, measure in (
        ("models", _MODELS, _with_models),
        ("rows", _ROWS, _with_rows),
        ("workers", _WORKERS, _with_workers),
    ):
        rounds = [
            [measure(amount, plan, preparation) for amount in amounts] for _ in range(plan.rounds)
        ]
        for place, amount in enumerate(amounts):
            found.append(_medians(what, amount, [one_round[place] for one_round in rounds]))
            tell(found[-1])
    return tuple(found)


def compare_three(
    plan: Plan, *, preparation: Preparation, tell: Callable[[Growth], None]
) -> tuple[Growth, ...]:
    """Return what we and MLServer need for the same three models, asked for one of them.

    Raises:
        ServerFailed: One of the two does not start.
        WrongAnswer: One gave another than the known answer.
    """
    (workload,) = chosen(["W1/16"])
    contenders = (
        Ours(name="ours", models=_THREE),
        TensorScript(name="mlserver", module="mlserver", models=_THREE),
    )
    found = []
    for contender in contenders:
        rounds = [
            measure_once(contender, workload, plan, number, preparation)
            for number in range(1, plan.rounds + 1)
        ]
        found.append(_medians(contender.name, len(_THREE), rounds))
        tell(found[-1])
    return tuple(found)


def _medians(what: str, amount: int, rounds: Sequence[Measured]) -> Growth:
    return Growth(
        what=what,
        amount=amount,
        per_second=statistics.median(m.per_second for m in rounds),
        p50_s=statistics.median(m.p50_s for m in rounds),
        memory_bytes=int(statistics.median(m.memory_bytes for m in rounds)),
    )


def _with_models(count: int, plan: Plan, preparation: Preparation) -> Measured:
    """Ask one of so many copies of `logistic`, over many connections."""
    (workload,) = chosen(["W1/64"])
    others = (Copy(original="logistic", name=f"copy{number}") for number in range(1, count))
    models = (Copy(original="logistic", name="logistic"), *others)
    return measure_once(Ours(name="ours", models=models), workload, plan, 1, preparation)


def _with_rows(count: int, plan: Plan, preparation: Preparation) -> Measured:
    """Send so many rows per request, over one connection."""
    (workload,) = chosen(["W1/1"])
    return measure_once(Ours(name="ours"), replace(workload, rows=count), plan, 1, preparation)


def _with_workers(count: int, plan: Plan, preparation: Preparation) -> Measured:
    """Let as many workers on as many cores answer for the forest, one request at a time."""
    (workload,) = chosen(["W3/64"])
    models = (Copy(original="forest", name="forest", workers=count, is_batchable=False),)
    return measure_once(
        Ours(name="ours", models=models),
        workload,
        replace(plan, server_cores=tuple(range(count))),
        1,
        preparation,
    )

"""The workloads: which model, how many rows per request, over how many connections."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["WORKLOADS", "Known", "Workload", "chosen", "requests_of"]

_REQUESTS_OF_MANY_ROWS = 16
_SEED = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """Instances of a model and their answers, one to one."""

    instances: Sequence[Sequence[float]]
    answers: Sequence[str | float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """One cell of the table of results."""

    name: str
    """Such as `W1/64`: the workload and its connections."""
    model: str
    rows: int
    """Instances per request."""
    connections: int
    is_batching: bool
    """Whether servers that can batch are told to."""


def _workload(
    name: str, model: str, rows: int, *connections: int, is_batching: bool = False
) -> Mapping[str, Workload]:
    return {
        f"{name}/{count}": Workload(
            name=f"{name}/{count}",
            model=model,
            rows=rows,
            connections=count,
            is_batching=is_batching,
        )
        for count in connections
    }


WORKLOADS: Mapping[str, Workload] = {
    **_workload("W1", "logistic", 1, 64, 16, 1),
    **_workload("W2", "logistic", 1_000, 16),
    **_workload("W3", "forest", 1, 64, 1, is_batching=True),
}


def chosen(names: Sequence[str]) -> tuple[Workload, ...]:
    """Return the workloads of these names; `W1` means all of `W1/…`. `KeyError` for an unknown."""
    found: dict[str, Workload] = {}
    for name in names:
        meant = {w.name: w for w in WORKLOADS.values() if name in {w.name, w.name.split("/")[0]}}
        if not meant:
            raise KeyError(name)
        found |= meant
    return tuple(found.values())


def requests_of(rows: int, known: Known) -> tuple[Known, ...]:
    """Return requests of so many rows with their answers; the same on every run."""
    count = len(known.instances)
    if rows == 1:
        return tuple(
            Known(instances=known.instances[i : i + 1], answers=known.answers[i : i + 1])
            for i in range(count)
        )
    draw = random.Random(_SEED)  # noqa: S311  # no secret
    found = []
    for _ in range(_REQUESTS_OF_MANY_ROWS):
        places = draw.choices(range(count), k=rows)
        found.append(
            Known(
                instances=[known.instances[i] for i in places],
                answers=[known.answers[i] for i in places],
            )
        )
    return tuple(found)

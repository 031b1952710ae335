"""What this process may use of the machine, be it bounded by a container or not.

`assemble` asks for cores, and for the bound on memory, which `memory_watch` looks at.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MemoryBound", "memory_bound", "usable_cores"]

_ROOT = Path("/")
_NO_BOUND_BYTES = 1 << 60
"""Version 1 of control groups has a huge number where there is no bound."""

_MEMORY_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""For versions 2 and 1: the bound, what is used, and what is cached of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBound:
    """How much memory the processes of a control group may hold together, and what they hold."""

    limit_bytes: int
    usage: Path
    statistics: Path
    cached: str
    """What the statistics call files that were read and that nobody has looked at lately."""

    def held_bytes(self) -> int:
        """Return what is held and cannot be taken back; 0 if the system does not tell."""
        used = _read(self.usage) or ""
        lines = (_read(self.statistics) or "").splitlines()
        cached = next((line for line in lines if line.startswith(f"{self.cached} ")), " 0")
        return max(0, int(used) - int(cached.split()[-1])) if used.isdecimal() else 0


def memory_bound(root: Path = _ROOT) -> MemoryBound | None:
    """Return the narrowest bound on this process's memory; None if there is none.

    Args:
        root: Where `proc` and `sys` are.
    """
    bounds = [bound for place in _places(root, "memory") if (bound := _bound(place)) is not None]
    return min(bounds, key=lambda bound: bound.limit_bytes, default=None)


def usable_cores(root: Path = _ROOT) -> int:
    """Return how many whole cores this process may use, at least 1.

    Args:
        root: Where `proc` and `sys` are.
    """
    quotas = [quota for place in _places(root, "cpu") if (quota := _quota(place)) is not None]
    return max(1, int(min([_affinity(), *quotas])))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _places(root: Path, controller: str) -> Iterator[Path]:
    """Return the directories of this process's control groups, outermost last.

    In a container its own group is usually what is mounted, whatever path it is said to have.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = mounted / controllers if controllers else mounted
        place = top / path.lstrip("/")
        while place != top and top in place.parents:
            yield place
            place = place.parent
        yield top


def _quota(place: Path) -> float | None:
    """Return the cores that a group may use together; None if it is not bounded."""
    if (limit := _read(place / "cpu.max")) is not None:  # version 2: "<quota or max> <period>"
        quota, _, period = limit.partition(" ")
    else:
        quota = _read(place / "cpu.cfs_quota_us") or ""
        period = _read(place / "cpu.cfs_period_us") or ""
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def _bound(place: Path) -> MemoryBound | None:
    """Return the bound that a group has itself; version 2 says `max` if it has none."""
    for limit, usage, cached in _MEMORY_FILES:
        found = _read(place / limit) or ""
        if found.isdecimal() and int(found) < _NO_BOUND_BYTES:
            return MemoryBound(
                limit_bytes=int(found),
                usage=place / usage,
                statistics=place / "memory.stat",
                cached=cached,
            )
    return None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return None

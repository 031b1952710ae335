"""What this process may use of the machine, be it bounded by a container or not.

`assemble` asks for cores.
"""

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["usable_cores"]

_ROOT = Path("/")


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


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return None

"""What a process may use, read from control groups of both versions."""

import os
from pathlib import Path

import pytest

from stevedore_api.cgroup import memory_bound, usable_cores

HERE = 10**6
"""More cores than any machine has: what is found is the quota."""


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have so many cores that only a quota bounds them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(HERE), raising=False)


def write(root: Path, groups: str, **files: str) -> Path:
    """Write what a process sees of its control groups; `__` in a name is a slash, `_o_` a dot."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_o_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", HERE), ("200000 100000", 2), ("250000 100000", 2), ("50000 100000", 1)],
)
def test_version_2(tmp_path: Path, quota: str, expected: int) -> None:
    """In a container, its own group is the one that is mounted."""
    assert usable_cores(write(tmp_path, "0::/\n", cpu_o_max=quota)) == expected


@pytest.mark.parametrize(("inner", "outer"), [("3", "max"), ("max", "3"), ("3", "8"), ("8", "3")])
def test_a_group_within_another(tmp_path: Path, inner: str, outer: str) -> None:
    """The narrowest bound counts, on whatever level it is set."""
    root = write(
        tmp_path,
        "0::/outer/inner\n",
        outer__cpu_o_max=f"{outer} 1",
        outer__inner__cpu_o_max=f"{inner} 1",
    )
    assert usable_cores(root) == 3


@pytest.mark.parametrize(("quota", "expected"), [("-1", HERE), ("400000", 4), ("10000", 1)])
def test_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    """A quota of -1 is none; the path may be the host's, which is not mounted here."""
    files = {"cpu,cpuacct__cpu_o_cfs_quota_us": quota, "cpu,cpuacct__cpu_o_cfs_period_us": "100000"}
    groups = "5:memory:/x\n4:cpu,cpuacct:/docker/0123\n0::/\n"
    assert usable_cores(write(tmp_path, groups, **files)) == expected


def test_where_there_are_none(tmp_path: Path) -> None:
    """Without control groups the scheduler's answer holds."""
    assert usable_cores(tmp_path) == HERE


def test_without_a_scheduler_that_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere it is the machine's cores, of which there is at least one."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1


VERSION_2 = {
    "memory_o_max": "1000",
    "memory_o_current": "700",
    "memory_o_stat": "anon 400\ninactive_file 200\nactive_file 100\n",
}
VERSION_1 = {
    "memory__memory_o_limit_in_bytes": "1000",
    "memory__memory_o_usage_in_bytes": "700",
    "memory__memory_o_stat": "inactive_file 1\ntotal_inactive_file 200\n",
}


@pytest.mark.parametrize(
    ("groups", "files"), [("0::/\n", VERSION_2), ("4:memory:/x\n0::/\n", VERSION_1)]
)
def test_memory(tmp_path: Path, groups: str, files: dict[str, str]) -> None:
    """What is held is what is used, but for files that may be forgotten."""
    bound = memory_bound(write(tmp_path, groups, **files))
    assert bound is not None
    assert (bound.limit_bytes, bound.held_bytes()) == (1_000, 500)


def test_the_narrowest_bound_on_memory(tmp_path: Path) -> None:
    """Of groups within groups the one with the least memory counts."""
    root = write(
        tmp_path,
        "0::/outer/inner\n",
        outer__memory_o_max="1000",
        outer__memory_o_current="600",
        outer__inner__memory_o_max="2000",
    )
    bound = memory_bound(root)
    assert bound is not None
    assert (bound.limit_bytes, bound.held_bytes()) == (1_000, 600)


@pytest.mark.parametrize(
    "files",
    [{}, {"memory_o_max": "max"}, {"memory_o_limit_in_bytes": str(2**63 - 4_096)}],
)
def test_memory_without_a_bound(tmp_path: Path, files: dict[str, str]) -> None:
    """No file, `max`, and version 1's largest number say that there is none."""
    assert memory_bound(write(tmp_path, "0::/\n", **files)) is None


def test_memory_of_which_nothing_is_told(tmp_path: Path) -> None:
    """A bound without usage counts as unused."""
    bound = memory_bound(write(tmp_path, "0::/\n", memory_o_max="1000"))
    assert bound is not None
    assert bound.held_bytes() == 0

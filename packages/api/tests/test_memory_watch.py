"""Whether memory is short, as it is held and given back."""

import asyncio
import logging
from pathlib import Path

import pytest

from stevedore_api.cgroup import MemoryBound
from stevedore_api.memory_watch import MemoryWatch


def bound(directory: Path, held_bytes: int) -> MemoryBound:
    """Return a bound of 1000 bytes, of which so many are held."""
    (directory / "usage").write_text(str(held_bytes))
    return MemoryBound(
        limit_bytes=1_000,
        usage=directory / "usage",
        statistics=directory / "statistics",
        cached="inactive_file",
    )


async def until(watch: MemoryWatch, *, is_short: bool) -> None:
    """Wait until the watch has found out."""
    for _ in range(500):
        if watch.is_short == is_short:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"is_short stayed {watch.is_short}")


def test_memory_runs_short_and_is_given_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Short above nine tenths; enough again only once clearly less is held. Each is told once."""

    async def main() -> list[bool]:
        watch = MemoryWatch(bound(tmp_path, 900), 0.9)
        watch.start()
        found = [watch.is_short]
        bound(tmp_path, 901)
        await until(watch, is_short=True)
        bound(tmp_path, 870)
        await asyncio.sleep(0.3)
        found.append(watch.is_short)
        bound(tmp_path, 850)
        await until(watch, is_short=False)
        watch.stop()
        bound(tmp_path, 1_000)
        await asyncio.sleep(0.3)
        return [*found, watch.is_short]

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(main()) == [False, True, False]
    assert caplog.messages == [
        "901 of 1000 bytes are held: requests beside others are refused",
        "850 of 1000 bytes are held: there is enough again",
    ]


def test_memory_without_a_bound_is_never_short() -> None:
    """There is nothing to look at."""

    async def main() -> bool:
        watch = MemoryWatch(None, 0.9)
        watch.start()
        watch.stop()
        return watch.is_short

    assert not asyncio.run(main())


def test_a_share_of_one_is_never_exceeded(tmp_path: Path) -> None:
    """The setting's way to have none of this."""

    async def main() -> bool:
        watch = MemoryWatch(bound(tmp_path, 1_000), 1)
        watch.start()
        watch.stop()
        return watch.is_short

    assert not asyncio.run(main())

"""Lines that nobody may read in time."""

import asyncio
import json
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stevedore_api.line_writer import LineWriter

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The ends of a pipe: who reads, and who writes."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    """Before, within and after an event loop."""
    reader, writer = pipe
    lines = LineWriter(writer)

    async def main() -> None:
        for number in range(1, 5):
            lines.write(f"{number}\n")
        await asyncio.sleep(0)
        lines.write("5\n")

    lines.write("0\n")
    asyncio.run(main())
    lines.write("6\n")
    lines.flush()
    lines.close()
    assert os.read(reader, 100) == b"0\n1\n2\n3\n4\n5\n6\n"


def test_a_pipe_that_nobody_reads_costs_lines_only(pipe: tuple[int, int]) -> None:
    """Writing returns at once; what was lost is told once there is room."""
    reader, writer = pipe
    lines = LineWriter(writer)
    begun = time.monotonic()
    for _ in range(20_000):
        lines.write_line(LINE)
    assert time.monotonic() - begun < 5
    dropped = lines.dropped
    assert 0 < dropped < 20_000
    received = bytearray()
    while select.select([reader], [], [], 0)[0]:
        received += os.read(reader, 1 << 20)
        lines.close()
    *whole, last = received.splitlines(keepends=True)
    told = [json.loads(line) for line in [*whole, last] if line != LINE]
    assert told == [
        {
            "level": "warning",
            "logger": "stevedore_api.line_writer",
            "message": f"{dropped} lines of this log could not be written",
        }
    ]
    assert received.count(LINE) == 20_000 - dropped
    assert lines.dropped == 0


def test_what_waits_is_written_when_there_is_room(pipe: tuple[int, int]) -> None:
    """Also if no further line comes."""
    reader, writer = pipe
    lines = LineWriter(writer)

    async def main() -> bytes:
        for _ in range(5_000):
            lines.write_line(LINE)
        received = b""
        begun = time.monotonic()
        while len(received) < 5_000 * len(LINE) and time.monotonic() - begun < 10:
            await asyncio.sleep(0.01)
            received += os.read(reader, 1 << 20) if select.select([reader], [], [], 0)[0] else b""
        return received

    assert asyncio.run(main()) == LINE * 5_000


def test_a_long_line_passes_in_pieces(pipe: tuple[int, int]) -> None:
    """A line beyond what a pipe takes at once arrives whole."""
    reader, writer = pipe
    line = b"y" * 30_000 + b"\n"
    lines = LineWriter(writer)
    lines.write_line(line)
    lines.write_line(LINE)
    assert os.read(reader, 1 << 20) == line + LINE


def test_a_closed_pipe_is_no_error(pipe: tuple[int, int]) -> None:
    """Lines are counted as lost, and nothing is raised."""
    reader, writer = pipe
    lines = LineWriter(writer)
    os.close(reader)
    for _ in range(3):
        lines.write_line(LINE)
    assert lines.dropped == 3


def test_a_full_disk_is_no_error() -> None:
    """The same for a file that takes nothing."""
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a disk that is always full")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    lines = LineWriter(descriptor)
    lines.write_line(LINE)
    os.close(descriptor)
    assert lines.dropped == 1


def test_a_file(tmp_path: Path) -> None:
    """A file takes everything at once."""
    file = tmp_path / "log"
    with file.open("wb") as stream:
        lines = LineWriter(stream.fileno())

        async def main() -> None:
            for _ in range(1_000):
                lines.write_line(LINE)
            await asyncio.sleep(0)

        asyncio.run(main())
        assert file.read_bytes() == LINE * 1_000

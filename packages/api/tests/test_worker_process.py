"""One worker as the front sees it."""

import asyncio
import sys
from pathlib import Path

import pytest

from stevedore_api.worker_process import WorkerProcess
from stevedore_core.frames import MAX_BODY_BYTES, Frame, Kind, pack
from stevedore_core.worker_command import WorkerCommand

COMMAND = WorkerCommand(
    python=Path(sys.executable), import_path=(Path("/a"),), models=("one",), threads=1
)


class Ears:
    """Keeps what a worker process tells its owner."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.frames: list[Frame] = []
        self.ends = 0
        self.process = WorkerProcess(self.frames.extend, self._end)

    def _end(self) -> None:
        self.ends += 1


def test_frames_arrive_in_any_pieces() -> None:
    """A frame is handed on once it is whole, however the bytes were cut."""
    frames = [Frame(1, Kind.ANSWER, 0, b"abc"), Frame(2, Kind.REFUSAL, 3, b"")]
    data = pack(frames)
    for size in (1, 5, len(data)):
        ears = Ears()
        for begin in range(0, len(data), size):
            ears.process.data_received(data[begin : begin + size])
        assert ears.frames == frames


def test_a_frame_that_is_too_long_is_not_awaited(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that announces more than the front keeps is ended."""
    ears = Ears()
    header = bytearray(pack([Frame(0, Kind.ANSWER, 0, b"")]))
    header[:4] = (MAX_BODY_BYTES + 1).to_bytes(4, "big")
    ears.process.data_received(bytes(header) + pack([Frame(1, Kind.ANSWER, 0, b"")]))
    assert ears.frames == []
    assert caplog.messages == [f"worker None sent a frame of {MAX_BODY_BYTES + 1} bytes"]


def test_a_process_that_never_started() -> None:
    """Sending to it and ending it do nothing, and there is nothing to wait for."""
    ears = Ears()
    ears.process.send([Frame(0, Kind.PREDICT, 0, b"")])
    ears.process.kill()
    assert ears.process.pid is None
    assert asyncio.run(ears.process.wait()) == 0


def test_a_process_that_ends_by_itself() -> None:
    """Its end is told once, and ending it again is no error."""

    async def run() -> tuple[Ears, int]:
        ears = Ears()
        await ears.process.start(COMMAND, {})  # nothing is on its path: it cannot begin
        status = await ears.process.wait()
        await asyncio.sleep(0.1)
        ears.process.kill()
        return ears, status

    ears, status = asyncio.run(run())
    assert (ears.frames, ears.ends, status) == ([], 1, 1)

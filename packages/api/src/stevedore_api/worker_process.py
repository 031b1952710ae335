"""One worker as the front sees it: started, spoken to in frames, killed, reaped.

`slots` is the only caller.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import cast

from stevedore_core.frames import Frame, FrameBuffer, pack
from stevedore_core.worker_command import WorkerCommand

__all__ = ["WorkerProcess"]

_log = logging.getLogger(__name__)


class WorkerProcess(asyncio.Protocol):
    """A running worker. Tells its owner of the frames that arrive, and once of its end."""

    def __init__(
        self, on_frames: Callable[[Sequence[Frame]], None], on_end: Callable[[], None]
    ) -> None:
        self._on_frames = on_frames
        self._on_end = on_end
        self._received = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, command: WorkerCommand, outer: Mapping[str, str]) -> None:
        """Start the process and listen to it.

        Raises:
            OSError: The operating system has no process or file descriptor left.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = command.start(theirs, outer)  # takes a ms
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)  # noqa: FBT003  # takes it by position only
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)

    @property
    def pid(self) -> int | None:
        """The process id, once started."""
        return self._process.pid if self._process else None

    def send(self, frames: Sequence[Frame]) -> None:
        """Send frames; to a worker that just died they are lost, and `on_end` follows."""
        if self._transport is not None:
            self._transport.write(pack(frames))

    def kill(self) -> None:
        """End the worker and its children at once; `on_end` follows."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):  # `wait` reaped it just now, in its thread
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._transport is not None:
            self._transport.abort()

    async def wait(self) -> int:
        """Return the exit status once the process is reaped."""
        if self._process is None:
            return 0
        return await asyncio.get_running_loop().run_in_executor(None, self._process.wait)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no common class

    def data_received(self, data: bytes) -> None:
        """Hand on the frames that are complete (called by asyncio)."""
        try:
            frames = self._received.feed(data)
        except ValueError as error:
            _log.error("worker %s sent %s", self.pid, error)
            self.kill()
            return
        if frames:
            self._on_frames(frames)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Make sure the process is gone, and tell the owner (called by asyncio)."""
        self.kill()
        self._on_end()

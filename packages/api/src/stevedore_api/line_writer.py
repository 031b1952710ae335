"""`LineWriter`: lines of text to a file descriptor, without ever waiting for who reads them.

The front's log goes through it. A full disk, and a pipe that is closed or that nobody reads, cost
lines and no request: what cannot be written is kept up to a bound, then counted and dropped.
"""

import asyncio
import os
import select
import stat
from collections import deque

import orjson

__all__ = ["LineWriter"]

_MOST_KEPT_BYTES = 1 << 20
_RETRY_S = 0.1


class LineWriter:
    """Stands for a text stream that `logging` writes to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lines: deque[bytes] = deque()
        self._kept_bytes = 0
        self._is_due = False
        self.dropped = 0
        """How many lines were lost since the last that was written."""

    def write(self, text: str) -> None:
        """Take a line of ASCII, with its end."""
        self.write_line(text.encode())

    def write_line(self, line: bytes) -> None:
        """Take a line, with its end; all of one turn of the event loop are written at once."""
        if self._kept_bytes + len(line) > _MOST_KEPT_BYTES:
            self.dropped += 1
            return
        self._lines.append(line)
        self._kept_bytes += len(line)
        if self._is_due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # while the process starts or stops
            self._write_kept()
        else:
            self._is_due = True
            loop.call_soon(self._write_kept)

    def flush(self) -> None:
        """Do nothing: lines are written by themselves (called by logging)."""

    def close(self) -> None:
        """Write what can be written now."""
        self._write_kept()

    def _write_kept(self) -> None:
        self._is_due = False
        while self._lines and self._can_write():
            self._write_some()
        if self._lines:
            self._try_later()

    def _can_write(self) -> bool:
        return self._is_file or bool(self._poll.poll(0))  # an error is told by writing

    def _write_some(self) -> None:
        """Write as many lines as surely go through: a pipe that is writable takes `PIPE_BUF`."""
        room = self._kept_bytes if self._is_file else select.PIPE_BUF
        told = self.dropped
        if told:
            self._lines.appendleft(_lost(told))
            self._kept_bytes += len(self._lines[0])
        some = bytearray(self._lines.popleft())
        while self._lines and len(some) + len(self._lines[0]) <= room:
            some += self._lines.popleft()
        self._kept_bytes -= len(some)
        try:
            written = os.write(self._descriptor, some[:room])
        except OSError:  # nobody reads any more, or there is no room left
            self.dropped += some.count(b"\n") - bool(told)
            return
        self.dropped -= told
        if rest := bytes(some[written:]):
            self._lines.appendleft(rest)
            self._kept_bytes += len(rest)

    def _try_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._is_due = True
        loop.call_later(_RETRY_S, self._write_kept)


def _lost(lines: int) -> bytes:
    message = f"{lines} lines of this log could not be written"
    fields = {"level": "warning", "logger": __name__, "message": message}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)

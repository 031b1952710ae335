"""Load on a server: in a closed loop to find its peak, in an open loop to go beyond it.

In an open loop requests are sent when they are due, whether or not earlier ones were answered, and
their time counts from when they were due.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Load", "Sample", "goodput", "measure_peak", "percentile_s"]

_SEND_BEHIND_S = 0.002
"""How coarse the clock of the generator is: what is due within it goes out together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request that was answered: when it was due, how long it took from there, its status."""

    due_at: float
    took_s: float
    status: int


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[int] | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(cls, address.hostname, address.port)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, data: bytes) -> asyncio.Future[int]:
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self._received = rest[length:]
        self._end(int(head.split(maxsplit=2)[1]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._end(0)

    def _end(self, status: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)


@dataclass(kw_only=True)
class Load:
    """Requests of one kind at a constant rate."""

    url: str
    data: bytes
    per_s: float
    for_s: float

    async def run(self) -> list[Sample]:
        """Send them all, and return what came of each; a status of 0 is a lost connection."""
        idle: list[_Connection] = []
        samples: list[Sample] = []
        tasks: set[asyncio.Task[None]] = set()
        begun = time.perf_counter()

        async def ask(due_at: float) -> None:
            connection = idle.pop() if idle else await _Connection.open(self.url)
            status = await connection.ask(self.data)
            took_s = time.perf_counter() - due_at
            samples.append(Sample(due_at=due_at - begun, took_s=took_s, status=status))
            if status:
                idle.append(connection)

        for number in range(int(self.per_s * self.for_s)):
            due_at = begun + number / self.per_s
            if (early_s := due_at - time.perf_counter()) > _SEND_BEHIND_S:
                await asyncio.sleep(early_s)
            elif not number % 8:  # what came meanwhile is read
                await asyncio.sleep(0)
            task = asyncio.create_task(ask(due_at))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for connection in idle:
            assert connection.transport is not None
            connection.transport.close()
        return samples


async def measure_peak(url: str, data: bytes, *, connections: int, for_s: float) -> float:
    """Return how many requests a second are answered if each connection waits for its answers."""
    opened = [await _Connection.open(url) for _ in range(connections)]
    give_up = time.perf_counter() + for_s

    async def ask_on(connection: _Connection) -> int:
        count = 0
        while True:
            assert await connection.ask(data) == 200
            if time.perf_counter() > give_up:  # what comes later is of another time
                return count
            count += 1

    counts = await asyncio.gather(*(ask_on(connection) for connection in opened))
    for connection in opened:
        assert connection.transport is not None
        connection.transport.close()
    return sum(counts) / for_s


def goodput(samples: Sequence[Sample], for_s: float) -> float:
    """Return how many requests were answered with 200 in each second of the load."""
    return sum(s.status == 200 and s.due_at + s.took_s <= for_s for s in samples) / for_s


def percentile_s(samples: Sequence[Sample], share: float = 0.99) -> float:
    """Return within which time that share of requests was answered; 0 if there are none."""
    took = sorted(sample.took_s for sample in samples)
    return took[min(len(took) - 1, int(len(took) * share))] if took else 0.0

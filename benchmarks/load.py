"""The load generator: connections that each send the next request once the last is answered.

`measuring` calls it. Plain sockets and epoll, so that it needs far less than the one core it has;
what it used is part of the result.
"""

import gc
import re
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.errors import WrongAnswer

__all__ = ["Exchange", "Load", "send_load"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_RECEIVE_BYTES = 1 << 18
_LIMIT_S = 60.0
"""A server that answers nothing for so long has failed."""
_SHOWN_BYTES = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request as it goes over the wire, and whether a body answers it rightly."""

    request: bytes
    is_right: Callable[[bytes], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What came of a load."""

    seconds: float
    """From the first request to the last answer."""
    latencies_s: tuple[float, ...]
    """Of each request, sorted."""
    generator_cpu: float
    """The share of its core that the generator used, 0 to 1."""

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.latencies_s) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency in seconds that a `share` of requests, 0 to 1, did not exceed."""
        return self.latencies_s[min(int(len(self.latencies_s) * share), len(self.latencies_s) - 1)]


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    exchange: int = 0
    sent_at: float = 0.0
    received: bytes = b""


def send_load(
    address: tuple[str, int],
    exchanges: Sequence[Exchange],
    *,
    connections: int,
    seconds: float,
) -> Load:
    """Send requests for so many seconds, wait for the last answers, return what came of it.

    Each connection goes through the exchanges from a place of its own.

    Raises:
        WrongAnswer: A status is not 200, a body is wrong, or a connection was closed.
    """
    poll = select.epoll()
    opened: dict[int, _Connection] = {}
    gc.collect()
    gc.disable()
    try:
        for number in range(connections):
            connected = socket.create_connection(address, timeout=_LIMIT_S)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(connected, select.EPOLLIN)
            opened[connected.fileno()] = _Connection(
                connected, exchange=number * len(exchanges) // connections
            )
        return _drive(poll, opened, exchanges, seconds)
    finally:
        gc.enable()
        poll.close()
        for connection in opened.values():
            connection.socket.close()


@dataclass(slots=True)
class _Checked:
    """Answers, compared with the known ones; a body that was right before is not parsed again."""

    exchanges: Sequence[Exchange]
    right: set[tuple[int, bytes]] = field(default_factory=set)

    def check(self, number: int, body: bytes) -> None:
        if (number, body) not in self.right:
            if not self.exchanges[number].is_right(body):
                raise WrongAnswer(f"not the known answer: {body[:_SHOWN_BYTES]!r}")
            self.right.add((number, body))


def _drive(
    poll: select.epoll,
    opened: dict[int, _Connection],
    exchanges: Sequence[Exchange],
    seconds: float,
) -> Load:
    clock = time.perf_counter
    checked = _Checked(exchanges)
    latencies: list[float] = []
    cpu_s, begun = time.process_time(), clock()
    end = begun + seconds
    for connection in opened.values():
        _send(connection, exchanges)
    waiting = len(opened)
    while waiting:  # the last answers are waited for, so that none is left to do for the next load
        ready = poll.poll(_LIMIT_S)
        if not ready:
            raise WrongAnswer(f"no answer within {_LIMIT_S:g} s")
        for descriptor, _ in ready:
            connection = opened[descriptor]
            body = _receive(connection)
            if body is None:
                continue
            now = clock()
            latencies.append(now - connection.sent_at)
            checked.check(connection.exchange, body)
            if now >= end:
                waiting -= 1
                continue
            connection.exchange = (connection.exchange + 1) % len(exchanges)
            _send(connection, exchanges)
    elapsed_s = clock() - begun
    return Load(
        seconds=elapsed_s,
        latencies_s=tuple(sorted(latencies)),
        generator_cpu=(time.process_time() - cpu_s) / elapsed_s,
    )


def _send(connection: _Connection, exchanges: Sequence[Exchange]) -> None:
    connection.sent_at = time.perf_counter()
    connection.socket.sendall(exchanges[connection.exchange].request)


def _receive(connection: _Connection) -> bytes | None:
    """Return the body of the answer if all of it is here."""
    data = connection.socket.recv(_RECEIVE_BYTES)
    if not data:
        raise WrongAnswer(f"the server closed a connection: {connection.received!r}")
    data = connection.received + data
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        connection.received = data
        return None
    found = _LENGTH.search(head + b"\r\n")
    if not head.startswith(b"HTTP/1.1 200") or found is None:
        raise WrongAnswer(f"not an answer with a length: {data[:_SHOWN_BYTES]!r}")
    if len(body) < int(found[1]):
        connection.received = data
        return None
    connection.received = b""
    return body

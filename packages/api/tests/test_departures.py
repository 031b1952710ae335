"""Clients that leave while nothing is read from them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from stevedore_api.departures import Departures

SOON_S = 0.05


class Connection(asyncio.Protocol):
    """The server's end of a connection, which is not read though something came."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.is_lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stop reading."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()
        self.client.send(b"unread")

    def connection_lost(self, _: Exception | None) -> None:
        """Note the end."""
        self.is_lost.set()

    async def ends(self, within_s: float = 5) -> bool:
        """Tell whether the connection comes to an end."""
        try:
            async with asyncio.timeout(within_s):
                return await self.is_lost.wait()
        except TimeoutError:
            return False


async def connect() -> Connection:
    """Return a new connection."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(client), sock=accepted)
    return connection


def check(body: Callable[[Departures, Connection], Awaitable[None]]) -> None:
    """Run `body` on a connection."""

    async def connected() -> None:
        connection = await connect()
        await body(Departures(), connection)
        connection.client.close()
        connection.transport.abort()
        assert await connection.ends()

    asyncio.run(connected())


def test_who_leaves_is_noticed() -> None:
    """What came before is not read, and the connection ends even so."""

    async def body(departures: Departures, connection: Connection) -> None:
        departures.watch(connection.transport)
        departures.watch(connection.transport)
        assert not await connection.ends(SOON_S)
        connection.client.close()
        assert await connection.ends()

    check(body)


def test_who_left_before_is_noticed() -> None:
    """It does not matter which was first: the leaving or the watch."""

    async def body(departures: Departures, connection: Connection) -> None:
        connection.client.close()
        departures.watch(connection.transport)
        assert await connection.ends()

    check(body)


def test_one_that_is_forgotten_stays_open() -> None:
    """Reading goes on there, and tells the end in its turn."""

    async def body(departures: Departures, connection: Connection) -> None:
        departures.watch(connection.transport)
        departures.forget(connection.transport)
        departures.forget(connection.transport)
        connection.client.close()
        assert not await connection.ends(SOON_S)

    check(body)


def test_one_of_two_leaves() -> None:
    """The other is watched as before."""

    async def body(departures: Departures, staying: Connection) -> None:
        leaving = await connect()
        for connection in (staying, leaving):
            departures.watch(connection.transport)
        for connection in (leaving, staying):
            assert not connection.is_lost.is_set()
            connection.client.close()
            assert await connection.ends()

    check(body)


def test_where_nothing_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without epoll nothing is watched, and nothing breaks."""
    monkeypatch.setattr("sys.platform", "darwin")

    async def body(departures: Departures, connection: Connection) -> None:
        departures.watch(connection.transport)
        connection.client.close()
        assert not await connection.ends(SOON_S)
        departures.forget(connection.transport)

    check(body)

"""`Departures`: clients that leave while nothing is read from them.

`http_protocol` reads no further while one request of a connection waits for another, and the end of
a connection is read after all that came before it. Linux tells of the end at once to who asks by
epoll. Elsewhere, or if a client sent more than the system takes unread, it is noticed when reading
goes on.
"""

import asyncio
import select
import sys

__all__ = ["Departures"]


class Departures:
    """The connections that are watched; one whose client leaves is closed."""

    def __init__(self) -> None:
        self._watched: dict[int, asyncio.Transport] = {}
        self._epoll = select.epoll() if sys.platform == "linux" else None

    def watch(self, transport: asyncio.Transport) -> None:
        """Close `transport` as soon as its client leaves, or has left, until it is forgotten."""
        descriptor = _descriptor(transport)
        if self._epoll is None or descriptor in self._watched:
            return
        if not self._watched:
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._look)
        self._watched[descriptor] = transport
        self._epoll.register(descriptor, select.EPOLLRDHUP)

    def forget(self, transport: asyncio.Transport) -> None:
        """Watch a connection no more, if it was; to be called before its socket is closed."""
        descriptor = _descriptor(transport)
        if self._epoll is None or self._watched.pop(descriptor, None) is None:
            return
        self._epoll.unregister(descriptor)
        if not self._watched:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())

    def _look(self) -> None:
        assert self._epoll is not None  # noqa: S101  # who calls is told by it
        for descriptor, _ in self._epoll.poll(0):
            transport = self._watched[descriptor]
            self.forget(transport)
            transport.close()


def _descriptor(transport: asyncio.Transport) -> int:
    descriptor: int = transport.get_extra_info("socket").fileno()
    return descriptor

"""uvicorn's HTTP protocol with what it lacks: limits on the headers of a request and their time.

`__main__` hands the class to uvicorn. The body's limits are the hot path's business.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stevedore_api.settings import Settings

__all__ = ["limited_protocol"]


class _HeadersRefusedError(Exception):
    """Stops the parser; the answer is on its way already."""


class _LimitedProtocol(HttpToolsProtocol):
    settings: ClassVar[Settings]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._received_bytes = 0
        self._parsed_bytes = 0
        self._refused = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()  # a connection that says nothing is no better than a slow one

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._received_bytes += len(data)
        super().data_received(data)
        # An endless line reaches no callback, so what came is counted beside what was parsed.
        # The same goes for trailers and chunk extensions, which nobody reads.
        if self._received_bytes > self.settings.max_header_bytes:
            self._refuse(431, b"the headers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received_bytes = self._parsed_bytes = 0
        if self._head_timer is None:
            self._start_head_timer()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        self._received_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._received_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._received_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._refused:
            super().send_400_response(msg)

    def _count(self, parsed_bytes: int) -> None:
        self._parsed_bytes += parsed_bytes
        if len(self.headers) > self.settings.max_headers:
            self._refuse(431, b"there are too many headers")
            raise _HeadersRefusedError
        if self._parsed_bytes > self.settings.max_header_bytes:
            self._refuse(431, b"the headers are too large")
            raise _HeadersRefusedError

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.settings.header_deadline_s, self._too_slow)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._refuse(408, b"the headers arrived too slowly")

    def _refuse(self, status: int, reason: bytes) -> None:
        self._refused = True
        if self.transport.is_closing():
            return
        lines = [
            STATUS_LINE[status],
            b"content-type: text/plain; charset=utf-8\r\n",
            b"content-length: %d\r\n" % len(reason),
            b"connection: close\r\n\r\n",
            reason,
        ]
        self.transport.write(b"".join(lines))
        self.transport.close()


def limited_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """Return a protocol class with the limits that `settings` say."""
    return type("LimitedProtocol", (_LimitedProtocol,), {"settings": settings})

"""uvicorn's HTTP protocol with limits on connections, headers and time, and a short cut.

`__main__` hands the class to uvicorn. A request for a path of the hot path becomes an `Exchange`
here and meets neither a task nor ASGI; all others go uvicorn's own way. A body's limits are the
business of who reads it.
"""

import asyncio
import resource
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stevedore_api.departures import Departures
from stevedore_api.hot_path import Exchange, HotPath, Target
from stevedore_api.settings import Settings

__all__ = ["protocol_class"]


_OTHER_FILES = 64
"""How many files the front has open beside connections: workers, logs, libraries."""


class _HeadersRefusedError(Exception):
    """Stops the parser; the answer is on its way already."""


class _Protocol(HttpToolsProtocol):
    settings: ClassVar[Settings]
    hot_path: ClassVar[HotPath]
    max_connections: ClassVar[int]
    idle: "ClassVar[dict[_Protocol, None]]"
    """The connections without a whole head to answer, the one that is so for longest first."""
    departures: ClassVar[Departures]
    """Watches the connections that have a `pipeline`: requests that wait for an earlier one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._received_bytes = 0
        self._parsed_bytes = 0
        self._refused = False
        self._awaits_head = True  # a connection that says nothing is no better than a slow one
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_since = self.loop.time()
        self._write_timer: asyncio.TimerHandle | None = None
        self._running: Exchange | None = None
        self._is_held = False
        self._idle_since: float | None = None

    def connection_made(  # type: ignore[override]  # narrower, as uvicorn has it
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._start_head_timer()
        self.idle[self] = None
        if len(self.connections) > self.max_connections:
            oldest = next(iter(self.idle))  # there is one: this
            del self.idle[oldest]
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_write_timer()
        self.idle.pop(self, None)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline), self.cycle):
            if isinstance(cycle, Exchange):
                cycle.leave()
        if self.pipeline:
            self.departures.forget(self.transport)
            self.pipeline.clear()
        if isinstance(self.cycle, Exchange):
            self.cycle = None  # type: ignore[assignment]  # as before the first request
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
        # Most requests come whole: only what is not whole by now needs a clock.
        if self._awaits_head:
            self._start_head_timer()
        elif isinstance(self.cycle, Exchange) and self.cycle.more_body:
            self.cycle.await_body()

    def on_message_begin(self) -> None:
        self._received_bytes = self._parsed_bytes = 0
        self._head_since = self.loop.time()
        self._stop_write_timer()  # who asks again has read what it was told
        self._awaits_head = True
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._awaits_head = False
        self._stop_head_timer()
        self.idle.pop(self, None)
        self._received_bytes = 0
        target = self.hot_path.find(self.url) if self.parser.get_method() == b"POST" else None
        if target is not None:
            self._begin_exchange(target)
            return
        url, headers, is_continued = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, to which the rest belongs
        self.url, self.expect_100_continue = url, is_continued
        self.headers.extend(headers)
        super().on_headers_complete()
        if self.pipeline:
            self.departures.watch(self.transport)

    def on_body(self, body: bytes) -> None:
        self._received_bytes = 0
        if isinstance(self.cycle, Exchange):
            self.cycle.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._received_bytes = 0
        if isinstance(self.cycle, Exchange):
            self.cycle.end()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._running = None
        self.server_state.total_requests += 1
        if self.transport.get_write_buffer_size():
            self._start_write_timer()
        if not self.transport.is_closing():
            self._go_on()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_write_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()
        if self._is_held:
            self._is_held = False
            self._go_on()

    def timeout_keep_alive_handler(self) -> None:
        # One clock for all requests of a connection: to set it anew for each costs more than to
        # look, when it rings, how long nothing came.
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._set_keep_alive(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _set_keep_alive(self, after_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            after_s, self.timeout_keep_alive_handler
        )

    def _begin_exchange(self, target: Target) -> None:
        earlier = self.cycle
        exchange = Exchange(
            self.hot_path,
            target,
            self.transport,
            default_headers=self.hot_path.joined(self.server_state.default_headers),
            keep_alive=self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
            is_continued=self.expect_100_continue,
            done=self.on_response_complete,
        )
        self.cycle = exchange  # type: ignore[assignment]  # it has what is asked of a cycle
        exchange.begin(self.headers)
        if not self._is_held and (earlier is None or earlier.response_complete):
            self._running = exchange
            exchange.take_turn()
        else:  # it was sent before the one ahead of it is answered
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]  # the same
            self.departures.watch(self.transport)

    def _go_on(self) -> None:
        """Begin with the next request, once the client reads what it asked for."""
        if self.flow.write_paused:
            self._is_held = True
            self.flow.pause_reading()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self.loop.call_soon(self._begin_next)
            return
        self._idle_since = self.loop.time()
        self.idle[self] = None
        if self.timeout_keep_alive_task is None:
            self._set_keep_alive(self.timeout_keep_alive)

    def _begin_next(self) -> None:
        if not self.pipeline:  # the connection was lost meanwhile
            return
        cycle, app = self.pipeline.pop()
        if not self.pipeline:
            self.departures.forget(self.transport)
        if isinstance(cycle, Exchange):
            self._running = cycle
            cycle.take_turn()
        else:
            self._start_asgi_task(cycle, app)

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
        if self._head_timer is None:
            after_s = self.settings.header_deadline_s
            self._head_timer = self.loop.call_later(after_s, self._too_slow)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_write_timer(self) -> None:
        if self._write_timer is None:
            after_s = self.settings.write_deadline_s
            self._write_timer = self.loop.call_later(after_s, self._cut_off_if_unread)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _cut_off_if_unread(self) -> None:
        self._write_timer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _too_slow(self) -> None:
        self._refuse(408, b"the headers arrived too slowly")

    def _refuse(self, status: int, reason: bytes) -> None:
        self._refused = True
        if self.transport.is_closing():
            return
        duration_s = self.loop.time() - self._head_since
        self.hot_path.metrics.note_answer("other", None, status, None, duration_s)
        self.hot_path.access_log.note(
            request_id="", method="", path="", status=status, duration_s=duration_s, model=None
        )
        lines = [
            STATUS_LINE[status],
            b"content-type: text/plain; charset=utf-8\r\n",
            b"content-length: %d\r\n" % len(reason),
            b"connection: close\r\n\r\n",
            reason,
        ]
        self.transport.write(b"".join(lines))
        self.transport.close()


def protocol_class(settings: Settings, hot_path: HotPath) -> type[HttpToolsProtocol]:
    """Return the class for the limits that `settings` say and the paths of `hot_path`."""
    shared = {
        "settings": settings,
        "hot_path": hot_path,
        "max_connections": _max_connections(settings),
        "idle": {},
        "departures": Departures(),
    }
    return type("Protocol", (_Protocol,), shared)


def _max_connections(settings: Settings) -> int:
    """Return how many connections there may be: fewer than asked for, if files are too few."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.max_connections
    return max(1, min(settings.max_connections, files - _OTHER_FILES))

"""A server of files on loopback that can be told to misbehave."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["FileServer", "Served", "serving"]

_AT_ONCE_BYTES: Final = 1 << 20


@dataclass(kw_only=True, slots=True)
class Served:
    """What stands under one path, and how it is sent.

    `cuts` are for the first requests, one each: after so many bytes the connection ends.
    """

    file: Path | None = None
    status: int = 200
    has_ranges: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    length_bytes: int | None = None
    """What the server says in place of the truth; below 0 it says nothing."""
    cuts: list[int] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class FileServer:
    """A running server: its address, what it serves by path, and what it was asked."""

    url: str
    served: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of each request."""
    credentials: list[str | None] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[FileServer]:
    """Serve on a free port until the end."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    found = FileServer(url=f"http://127.0.0.1:{server.server_port}")
    server.found = found  # type: ignore[attr-defined]  # the handler's only way to it
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found: FileServer = self.server.found  # type: ignore[attr-defined]  # see above
        found.asked.append((self.path, self.headers["Range"]))
        found.credentials.append(self.headers["Authorization"])
        served = found.served.get(self.path, Served(status=404))
        self.close_connection = True
        if served.file is None:
            self.send_response(served.status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with suppress(ConnectionError):  # who asked has heard enough
            self._send(served, served.file)

    def _send(self, served: Served, file: Path) -> None:
        size_bytes = file.stat().st_size
        begin = 0
        if served.has_ranges and (asked := self.headers["Range"]):
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
        if begin >= size_bytes > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size_bytes}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if begin else served.status)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{size_bytes - 1}/{size_bytes}")
        for name, value in served.headers.items():
            self.send_header(name, value)
        told = size_bytes - begin if served.length_bytes is None else served.length_bytes
        if told >= 0:
            self.send_header("Content-Length", str(told))
        self.end_headers()
        left = served.cuts.pop(0) if served.cuts else size_bytes
        with file.open("rb") as content:
            content.seek(begin)
            while left > 0 and (chunk := content.read(min(left, _AT_ONCE_BYTES))):
                self.wfile.write(chunk)
                left -= len(chunk)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as there
        """Say nothing."""

"""HTTP byte by byte over a socket: for requests that no client library would send."""

import socket
import time
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

__all__ = ["RawAnswer", "RawConnection", "request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """An answer as it stood on the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class RawConnection:
    """One connection to a server at `url`; a context manager."""

    url: str
    _socket: socket.socket = field(init=False)
    _received: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        assert address.hostname is not None
        assert address.port is not None
        self._socket = socket.create_connection((address.hostname, address.port), timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def take_little(self) -> None:
        """Have the system keep as little as it can of what is not read."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)

    def send(self, data: bytes) -> bool:
        """Send bytes; False if the server has hung up."""
        try:
            self._socket.sendall(data)
        except ConnectionError:
            return False
        return True

    def answer(self) -> RawAnswer:
        """Return the next answer."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        if "content-length" not in headers:
            while not self.is_closed():
                length = len(self._received)
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return RawAnswer(status=int(status_line.split()[1]), headers=headers, body=body)

    def status(self, within_s: float = 3) -> int:
        """Return the status of the next answer, which is not read; 0 if none comes."""
        begun = time.monotonic()
        while b"\r\n" not in self._received:
            if self.is_closed(within_s) or time.monotonic() - begun > within_s:
                return 0
        return int(self._received.split()[1])

    def is_closed(self, within_s: float = 10) -> bool:
        """Tell whether the server hangs up; what it sends before is kept."""
        self._socket.settimeout(within_s)
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        finally:
            self._socket.settimeout(10)
        self._received += data
        return not data

    def _receive(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError(f"the server hung up after {self._received!r}")
        self._received += data


def request(
    method: str, path: str, *headers: str, body: bytes = b"", host: str = "localhost"
) -> bytes:
    """Return a request as bytes; `Host` stands first, `Content-Length` only where given."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body

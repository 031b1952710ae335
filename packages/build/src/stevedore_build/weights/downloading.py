"""Bytes from an address into a file, going on where an earlier try broke off.

Called by `cache`, which decides whether what arrived is what it has to be.
"""

import base64
import http.client
import ipaddress
import netrc
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from stevedore_build.errors import FetchFailed

__all__ = ["download"]

_LIMIT_S: Final = 60
"""How long nothing may arrive."""

_AT_ONCE_BYTES: Final = 1 << 20
_MOST_TRIES: Final = 10
_RANGE: Final = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+)")
_UNKNOWN_CALLER: Final = frozenset({http.client.UNAUTHORIZED, http.client.FORBIDDEN})


class _BrokenOff(Exception):
    """Not everything arrived; another try may bring the rest."""


class _RangeRefused(Exception):
    """The server does not go on from where an earlier try ended."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from TLS to plain HTTP: what an address holds may be secret."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - as in the standard library
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after != "https" and (before, after) != ("http", "http"):
            fp.close()
            raise FetchFailed(
                f"{req.full_url}: redirects from `{before}` to `{after}`, which is not followed"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, into: Path, *, size_bytes: int, show: Callable[[int], None]) -> None:
    """Write what stands at `url` to `into`, or what is missing of it there.

    `show` is told how many bytes are there. Tries again as long as that brings more. Raises
    `FetchFailed`; what had arrived stays, and the next call goes on from there.
    """
    reason = ""
    for _ in range(_MOST_TRIES):
        had_bytes = _size_bytes(into)
        try:
            _receive(url, into, size_bytes=size_bytes, show=show)
        except _RangeRefused:
            into.unlink()
        except _BrokenOff as error:
            reason = str(error)
            if _size_bytes(into) <= had_bytes:
                break
        else:
            return
    raise FetchFailed(
        f"{url}: {_size_bytes(into)} of {size_bytes} bytes arrived, then {reason}; run this again, "
        "and it goes on from there"
    )


def _size_bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _receive(url: str, into: Path, *, size_bytes: int, show: Callable[[int], None]) -> None:
    with into.open("ab") as file:
        there_bytes = file.tell()
        if there_bytes == size_bytes:
            return
        with _answer(url, there_bytes) as answer:
            if answer.status != http.client.PARTIAL_CONTENT:  # the whole, from its beginning
                file.truncate(0)
                there_bytes = 0
            _refuse_unfit(url, answer, there_bytes, size_bytes)
            for chunk in _chunks(answer):
                there_bytes += len(chunk)
                if there_bytes > size_bytes:
                    raise FetchFailed(f"{url}: expected {size_bytes} bytes, found more")
                file.write(chunk)
                show(there_bytes)
    if there_bytes < size_bytes:
        raise _BrokenOff("the server ended the connection")


def _answer(url: str, from_byte: int) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})  # noqa: S310 - https or http, by the record's grammar
    if from_byte:
        request.add_header("Range", f"bytes={from_byte}-")
    if credentials := _credentials(url):
        # Not sent to where a redirect leads.
        request.add_unredirected_header("Authorization", credentials)
    try:
        answer: http.client.HTTPResponse = urllib.request.build_opener(_Redirects).open(
            request, timeout=_LIMIT_S
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and from_byte:
            raise _RangeRefused from None
        advice = ""
        if error.code in _UNKNOWN_CALLER:
            host = urlsplit(url).hostname
            advice = f"; where it wants user and password, put those of `{host}` into `~/.netrc`"
        raise FetchFailed(f"{url} answers {error.code} {error.reason}{advice}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOff(f"it could not be reached: {error}") from None
    return answer


def _refuse_unfit(
    url: str, answer: http.client.HTTPResponse, from_byte: int, size_bytes: int
) -> None:
    """Refuse what cannot become the file, before any of it is read."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise FetchFailed(f"{url}: is sent with the encoding `{encoding}`; expected it as it is")
    if answer.status == http.client.PARTIAL_CONTENT:
        told = answer.headers.get("Content-Range", "nothing")
        match = _RANGE.fullmatch(told)
        if match is None or int(match[1]) != from_byte or int(match[2]) != size_bytes:
            raise FetchFailed(
                f"{url}: expected bytes from {from_byte} on of {size_bytes}, found `{told}`"
            )
    elif (told := answer.headers.get("Content-Length", str(size_bytes))) != str(size_bytes):
        raise FetchFailed(f"{url}: expected {size_bytes} bytes, found {told}")


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := answer.read(_AT_ONCE_BYTES):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from None


def _credentials(url: str) -> str | None:
    """Return the header for a host that the user's netrc names; over plain HTTP for none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not _is_loopback(host):
        return None
    file = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        known = netrc.netrc(str(file)).hosts.get(host)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        raise FetchFailed(f"{file}: cannot be read: {error}") from None
    if known is None:
        return None
    user, _, password = known
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

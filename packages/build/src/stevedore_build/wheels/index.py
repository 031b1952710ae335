"""A package index that has wheels of ours. `pins` and `own_packages` call this.

The simple repository API: a page of links per distribution. Nothing else is ever asked for there.
"""

import base64
import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from stevedore_build.errors import IndexFailed

__all__ = ["download", "get", "wheel_pattern"]

_LIMIT_S: Final = 60


def download(index: str, distribution: str, version: str, *, to: Path) -> Path | None:
    """Write a wheel of pure Python into the directory `to`; `None` if the index does not have it.

    `index` may hold user and password. Raises `IndexFailed`.
    """
    wanted = re.compile(wheel_pattern(distribution, version))
    address, headers = _apart(index)
    page = f"{address.rstrip('/')}/{distribution}/"
    content = get(page, headers)
    if content is None:
        return None
    links = _Links()
    links.feed(content.decode("utf-8", "replace"))
    for link in links.found:
        url, fragment = urldefrag(urljoin(page, link))
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        if wanted.fullmatch(name):
            same_host = urlsplit(url).netloc == urlsplit(page).netloc
            wheel = get(url, headers if same_host else {})
            if wheel is None:
                raise IndexFailed(f"{page} lists `{name}`, and {url} is not there")
            _check(wheel, fragment, url)
            (to / name).write_bytes(wheel)
            return to / name
    return None


def wheel_pattern(distribution: str, version: str) -> str:
    """Return the regular expression of what a wheel of pure Python is called."""
    name = re.escape(f"{distribution.replace('-', '_')}-{version}")
    return rf"{name}-(py2\.)?py3-none-any\.whl"


class _Links(HTMLParser):
    """The links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "a" and target:
            self.found.append(target)


def _apart(index: str) -> tuple[str, Mapping[str, str]]:
    """Return an address without user and password, and the header that carries those."""
    parts = urlsplit(index)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise IndexFailed("`STEVEDORE_INDEX_URL` has to begin with `https://` and name a host")
    user, _, host = parts.netloc.rpartition("@")
    address = urlunsplit((parts.scheme, host, parts.path, "", ""))
    if not user:
        return address, {}
    secret = base64.b64encode(unquote(user).encode()).decode()
    return address, {"Authorization": f"Basic {secret}"}


def get(url: str, headers: Mapping[str, str] | None = None) -> bytes | None:
    """Return what stands at an address, `None` if nothing does. Raises `IndexFailed`."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise IndexFailed(f"the index links to {url}; only `http` and `https` are followed")
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:  # noqa: S310 - the same
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.NOT_FOUND:
            return None
        raise IndexFailed(f"{url} answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise IndexFailed(f"{url} cannot be reached: {error}") from None


def _check(wheel: bytes, fragment: str, url: str) -> None:
    """Refuse a wheel that is not the one whose digest the index tells."""
    algorithm, _, digest = fragment.partition("=")
    if algorithm == "sha256" and hashlib.sha256(wheel).hexdigest() != digest:
        raise IndexFailed(f"{url} is not the file whose sha256 the index lists")

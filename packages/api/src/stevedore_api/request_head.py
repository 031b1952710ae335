"""What the headers of any request say: its id, its trace, and whom it is addressed to.

`hot_path` and `app` ask. Header names are in lower case, as ASGI has them.
"""

import os
import re
from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["Headers", "is_local", "request_id", "trace_id"]

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACE_PARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    rb"-[0-9a-f]{2}(?P<more>-.*)?"
)
"""`traceparent` as the W3C defines it; versions after 00 may have more at the end."""
_LOOPBACK = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})


def request_id(headers: Headers) -> str:
    """Return the caller's request id if it is a sane one, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value).decode("ascii")
    return os.urandom(8).hex()


def trace_id(headers: Headers) -> str | None:
    """Return the id of the trace that a request is part of, if its `traceparent` is valid."""
    found = None
    for name, value in headers:
        if name == b"traceparent":
            if found is not None:  # of two nobody knows which counts
                return None
            found = value
    if found is None or (parent := _TRACE_PARENT.fullmatch(found)) is None:
        return None
    if parent["version"] == b"00" and parent["more"] is not None:
        return None
    return parent["trace"].decode("ascii")


def is_local(headers: Headers) -> bool:
    """Tell whether `Host` names this machine: a page elsewhere can make a browser send any name."""
    host = next((value for name, value in headers if name == b"host"), b"")
    name, _, port = host.lower().rpartition(b":")
    return (name if port.isdigit() else host.lower()) in _LOOPBACK

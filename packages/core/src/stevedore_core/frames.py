"""The messages between front and worker: a fixed header, then a body of JSON.

A header holds the length of the body, the number of the call it belongs to, its kind, and which of
the worker's models it is about (counted from 0 in the order of the worker's arguments).
"""

import struct
from enum import IntEnum
from typing import NamedTuple

__all__ = ["HEADER_BYTES", "MAX_BODY_BYTES", "Frame", "Header", "Kind", "pack", "unpack_header"]

_HEADER = struct.Struct("!IIBH")
HEADER_BYTES = _HEADER.size

MAX_BODY_BYTES = 64 << 20
"""The longest body of a frame: no side keeps more than this in memory for the other."""


class Kind(IntEnum):
    """What a frame asks for (to the worker) or tells (from it)."""

    PREDICT = 1
    SCORE = 2
    PREDICT_ENVELOPE = 3
    SCORE_ENVELOPE = 4
    SELF_TEST = 5
    SCORE_EXAMPLES = 6
    LOADED = 16  # body: the model's catalogue entry
    LOAD_FAILED = 17  # body: {"code", "detail"}
    ANSWER = 18  # body: the answer itself
    REFUSAL = 19  # body: {"code", "detail"} and, for an invalid payload, "violations"


class Header(NamedTuple):
    """The header of a frame."""

    body_bytes: int
    call: int
    kind: int
    model: int


class Frame(NamedTuple):
    """A whole frame."""

    call: int
    kind: int
    model: int
    body: bytes


def pack(frame: Frame) -> bytes:
    """Return the frame as bytes."""
    return _HEADER.pack(len(frame.body), frame.call, frame.kind, frame.model) + frame.body


def unpack_header(data: bytes) -> Header:
    """Return the header that `data`, `HEADER_BYTES` long, holds."""
    return Header(*_HEADER.unpack(data))

"""The messages between front and worker: a fixed header, then a body of JSON.

A header holds the length of the body, how many frames of the same batch follow, what the frame asks
for or tells, and which of the worker's models it is about. The frames of a batch are answered by as
many, in their order.
"""

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

__all__ = [
    "HEADER_BYTES",
    "MAX_BODY_BYTES",
    "MAX_FOLLOWING",
    "Frame",
    "FrameBuffer",
    "Kind",
    "pack",
]

_HEADER = struct.Struct("!IHBH")
HEADER_BYTES = _HEADER.size

MAX_BODY_BYTES = 64 << 20
"""The longest body of a frame: no side keeps more than this in memory for the other."""

MAX_FOLLOWING = 0xFFFF
"""How many frames of a batch can follow one of them."""


class Kind(IntEnum):
    """What a frame asks for (to the worker) or tells (from it)."""

    PREDICT = 1
    SCORE = 2
    PREDICT_ENVELOPE = 3
    SCORE_ENVELOPE = 4
    SELF_TEST = 5
    SCORE_EXAMPLES = 6
    LOAD = 7  # try again to load a model; answered like the first try
    LOADED = 16  # body: the model's catalogue entry
    LOAD_FAILED = 17  # body: {"code", "detail"}
    ANSWER = 18  # body: the answer itself
    REFUSAL = 19  # body: {"code", "detail"} and, for an invalid payload, "violations"


class Frame(NamedTuple):
    """A whole frame."""

    following: int
    """How many frames of the same batch follow this one: 2, 1, 0 in a batch of three."""
    kind: int
    model: int
    """The model's number: its place among the worker's arguments, counted from 0."""
    body: bytes


def pack(frames: Iterable[Frame]) -> bytes:
    """Return the frames as bytes."""
    parts = []
    for following, kind, model, body in frames:
        parts.append(_HEADER.pack(len(body), following, kind, model))
        parts.append(body)
    return b"".join(parts)


class FrameBuffer:
    """Turns the bytes of a stream, however they were cut, into frames."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._needed = HEADER_BYTES
        """Before so many bytes are there, no frame is whole."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take what the stream brought, and return the frames that are whole now.

        Raises:
            ValueError: A frame is longer than `MAX_BODY_BYTES`.
        """
        self._bytes += len(data)
        if self._bytes < self._needed:  # the pieces of a long body are put together only once
            self._pieces.append(data)
            return []
        if self._pieces:
            data = b"".join([*self._pieces, data])
            self._pieces.clear()
        frames, begin, end = [], 0, len(data)
        self._needed = HEADER_BYTES
        while end - begin >= HEADER_BYTES:
            body_bytes, following, kind, model = _HEADER.unpack_from(data, begin)
            if body_bytes > MAX_BODY_BYTES:
                raise ValueError(f"a frame of {body_bytes} bytes")
            frame_bytes = HEADER_BYTES + body_bytes
            if end - begin < frame_bytes:
                self._needed = frame_bytes
                break
            body = data[begin + HEADER_BYTES : begin + frame_bytes]
            frames.append(Frame(following, kind, model, body))
            begin += frame_bytes
        self._bytes = end - begin
        if self._bytes:
            self._pieces.append(data[begin:])
        return frames

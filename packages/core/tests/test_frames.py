"""Frames: the bytes between front and worker."""

import struct

import pytest

from stevedore_core.frames import (
    HEADER_BYTES,
    MAX_BODY_BYTES,
    Frame,
    Header,
    Kind,
    pack,
    unpack_header,
)


def test_a_frame_is_a_header_and_its_body() -> None:
    """Length, call, kind and model in network order, then the body."""
    frame = Frame(call=0x01020304, kind=Kind.PREDICT, model=0x0506, body=b"[1]")
    assert pack(frame) == b"\0\0\0\x03\1\2\3\4\1\5\6[1]"
    assert HEADER_BYTES == 11


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("body", [b"", b"x" * 100_000])
def test_what_was_packed_is_unpacked(kind: Kind, body: bytes) -> None:
    """The header says what the frame was made of, and the rest is its body."""
    data = pack(Frame(call=2**32 - 1, kind=kind, model=2**16 - 1, body=body))
    assert unpack_header(data[:HEADER_BYTES]) == Header(
        body_bytes=len(body), call=2**32 - 1, kind=kind, model=2**16 - 1
    )
    assert data[HEADER_BYTES:] == body


@pytest.mark.parametrize(
    "frame",
    [Frame(2**32, Kind.PREDICT, 0, b""), Frame(0, 256, 0, b""), Frame(0, Kind.SCORE, -1, b"")],
)
def test_what_the_header_cannot_hold_is_an_error(frame: Frame) -> None:
    """No number is cut to fit."""
    with pytest.raises(struct.error):
        pack(frame)


def test_the_longest_body_fits_the_header() -> None:
    """The length of every allowed body can be written."""
    assert MAX_BODY_BYTES < 2**32

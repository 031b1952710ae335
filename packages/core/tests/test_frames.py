"""Frames: the bytes between front and worker."""

import struct
import sys

import pytest

from stevedore_core.frames import (
    HEADER_BYTES,
    MAX_BODY_BYTES,
    MAX_FOLLOWING,
    Frame,
    FrameBuffer,
    Kind,
    pack,
)


def test_a_frame_is_a_header_and_its_body() -> None:
    """Length, how many follow, kind and model in network order, then the body."""
    frame = Frame(following=0x0102, kind=Kind.PREDICT, model=0x0506, body=b"[1]")
    assert pack([frame]) == b"\0\0\0\x03\1\2\1\5\6[1]"
    assert pack([frame, frame]) == pack([frame]) * 2
    assert HEADER_BYTES == 9


@pytest.mark.parametrize("cut_bytes", [1, 2, 8, 9, 10, 100, 10_000])
def test_frames_come_out_of_any_pieces(cut_bytes: int) -> None:
    """What was packed is unpacked once it is whole, however the stream was cut."""
    bodies = (b"", b"[1]", b"x" * 1_000, b"y", b"")
    frames = [
        Frame(MAX_FOLLOWING - n, kind, 2**16 - 1, body)
        for kind in Kind
        for n, body in enumerate(bodies)
    ]
    data = pack(frames)
    buffer = FrameBuffer()
    found: list[Frame] = []
    for begin in range(0, len(data), cut_bytes):
        found += buffer.feed(data[begin : begin + cut_bytes])
        whole_bytes = sum(HEADER_BYTES + len(frame.body) for frame in found)
        assert whole_bytes <= begin + cut_bytes
    assert found == frames


def test_a_long_body_is_put_together_once() -> None:
    """The pieces of a body are kept as they came until it is whole."""
    frame = Frame(0, Kind.ANSWER, 0, b"x" * 1_000_000)
    data = pack([frame, frame])
    buffer = FrameBuffer()
    found = [buffer.feed(data[begin : begin + 1_000]) for begin in range(0, len(data), 1_000)]
    assert [len(frames) for frames in found if frames] == [1, 1]
    assert found[-1] == [frame]


def test_the_pieces_of_a_long_body_are_not_copied() -> None:
    """A piece in the middle is kept as it came, also behind a frame that ended."""
    frame = Frame(0, Kind.ANSWER, 0, b"x" * 1_000)
    first, piece = pack([frame, frame])[:1_030], b"y" * 10
    buffer = FrameBuffer()
    assert buffer.feed(first) == [frame]
    before = sys.getrefcount(piece)
    assert buffer.feed(piece) == []
    assert sys.getrefcount(piece) == before + 1


def test_a_frame_that_is_too_long_is_not_awaited() -> None:
    """The header is enough to know."""
    header = bytearray(pack([Frame(0, Kind.ANSWER, 0, b"")]))
    header[:4] = MAX_BODY_BYTES.to_bytes(4, "big")
    assert FrameBuffer().feed(bytes(header)) == []
    header[:4] = (MAX_BODY_BYTES + 1).to_bytes(4, "big")
    with pytest.raises(ValueError, match=rf"^a frame of {MAX_BODY_BYTES + 1} bytes$"):
        FrameBuffer().feed(bytes(header))


@pytest.mark.parametrize(
    "frame",
    [Frame(2**16, Kind.PREDICT, 0, b""), Frame(0, 256, 0, b""), Frame(0, Kind.SCORE, -1, b"")],
)
def test_what_the_header_cannot_hold_is_an_error(frame: Frame) -> None:
    """No number is cut to fit."""
    with pytest.raises(struct.error):
        pack([frame])


def test_what_stands_on_the_wire() -> None:
    """No two kinds share a number, and the largest figures are those that the header can hold."""
    assert {kind.name: kind.value for kind in Kind} == {
        "PREDICT": 1,
        "SCORE": 2,
        "PREDICT_ENVELOPE": 3,
        "SCORE_ENVELOPE": 4,
        "SELF_TEST": 5,
        "SCORE_EXAMPLES": 6,
        "LOAD": 7,
        "LOADED": 16,
        "LOAD_FAILED": 17,
        "ANSWER": 18,
        "REFUSAL": 19,
    }
    assert MAX_FOLLOWING == 2**16 - 1
    assert MAX_BODY_BYTES == 64 * 2**20 < 2**32

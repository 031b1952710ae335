"""JSON that attackers and careless clients send: refused each time, by `decode` and by no guess.

Every judge here is a way to read JSON. The controls hand the same questions to other readers.
"""

import json
import math
import random
import struct
import time
from collections.abc import Callable, Mapping

import orjson
import pytest

from stevedore_core.errors import BodyNotJson
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json, decode

Read = Callable[[bytes], object]

LONG_BYTES = 256 << 10
"""White space that makes a body long."""
MANY_KEYS = b"".join(b'"%d":0,' % number for number in range(1_000))
DEPTH_LIMIT_S = 0.05
SLACK = 3
"""How much longer than promised it may take on a busy machine, at small scale."""

SHAPES = {
    "arrays": (b"[", b"1", b"]"),
    "objects": (b'{"a":', b"1", b"}"),
    "mixed": (b'[{"a":', b"1", b"}]"),
    "unclosed arrays": (b"[", b"", b""),
    "unclosed objects": (b'{"a":', b"", b""),
    "closed too often": (b"", b"1", b"]"),
}
DEPTHS = (65, 1_000, 10_000, 100_000, 1_000_000)

NOT_A_NUMBER = (b"NaN", b"Infinity", b"-Infinity")
PLACES = (b"%b", b"[%b]", b'{"a":%b}', b'[1,{"a":[2,%b]}]')

TWICE = {
    "same": b'{"a":1,"a":1}',
    "other value": b'{"a":1,"a":2}',
    "apart": b'{"a":1,"b":2,"c":3,"a":4}',
    "escaped": b'{"a":1,"\\u0061":2}',
    "escaped twice": b'{"\\u0061":1,"\\u0061":2}',
    "escaped solidus": b'{"/":1,"\\/":2}',
    "pair of surrogates": '{"😀":1,"\\ud83d\\ude00":2}'.encode(),
    "empty": b'{"":1,"":2}',
    "in an array": b'[{"a":1,"a":2}]',
    "in an object": b'{"b":{"a":1,"a":2}}',
    "deep": b'{"a":[{"a":[{"a":1,"a":2}]}]}',
    "of many": b"{" + b",".join(b'"k%d":1' % n for n in range(1_000)) + b',"k500":1}',
}

NOT_UTF8 = {
    "stray continuation": b'"\x80"',
    "cut off": b'"\xe2\x82"',
    "never used": b'"\xff"',
    "overlong solidus": b'"\xc0\xaf"',
    "overlong NUL": b'"\xc0\x80"',
    "overlong in three": b'"\xe0\x80\xaf"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "lone high surrogate": b'"\\ud800"',
    "lone low surrogate": b'"\\udc00"',
    "surrogates in reverse": b'"\\udc00\\ud800"',
    "byte order mark": b"\xef\xbb\xbf1",
    "UTF-16": "[1]".encode("utf-16"),
    "UTF-16 without mark": "[1]".encode("utf-16-le"),
    "UTF-32": "[1]".encode("utf-32"),
    "NUL": b"\0",
    "NUL behind": b"1\0",
    "NUL in a text": b'"\0"',
    "line feed in a text": b'"\n"',
    "Latin-1": '"é"'.encode("latin-1"),
}


NUMBER_ARRAYS = Schema.compile({"type": "array", "items": {"type": "number"}}, where="m: schema")


def one_of_an_array(text: bytes) -> object:
    """Read a value as the item of an array of numbers, which has a decoder of its own."""
    payload = NUMBER_ARRAYS.read(b"[%b]" % text)
    assert isinstance(payload, list)
    return payload[0]


def one_of_a_long_body(text: bytes) -> object:
    """Read a value as the entry of a body that is so long that it is read in another way."""
    payload = decode(b'{%b"a":%b}' % (MANY_KEYS, text) + b" " * LONG_BYTES)
    assert isinstance(payload, dict)
    return payload["a"]


def admitted(
    read: Read, bodies: Mapping[str, bytes], refusal: type[Exception] = BodyNotJson
) -> list[str]:
    """Return the names of bodies that are read, or end in another error than `refusal`."""
    found = []
    for name, body in bodies.items():
        try:
            read(body)
        except refusal:
            continue
        except (ValueError, RecursionError):
            pass  # an error that whoever waits for a refusal does not expect
        found.append(name)
    return found


def too_deep() -> dict[str, bytes]:
    """Return bodies of every shape and depth."""
    return {
        f"{shape}, {depth}": opening * depth + inside + closing * depth
        for shape, (opening, inside, closing) in SHAPES.items()
        for depth in DEPTHS
    }


@pytest.mark.clock
@pytest.mark.fault("D1")
def test_what_is_nested_too_deep_is_refused_at_once(
    figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """Up to a million levels, closed or not, each is refused within 50 ms."""
    bodies, slowest_s = too_deep(), 0.0
    for name, body in bodies.items():
        begun = time.perf_counter()
        assert admitted(decode, {name: body}) == []
        slowest_s = max(slowest_s, time.perf_counter() - begun)
    assert slowest_s < DEPTH_LIMIT_S * scale(SLACK, 1)
    figure(f"{len(bodies)} of {len(bodies)} refused, the slowest in {1_000 * slowest_s:.1f} ms")


@pytest.mark.control("D1")
def test_a_reader_that_recurses_is_seen() -> None:
    """Python's own reader neither refuses 65 levels nor tells of 100,000 as of bad JSON."""
    found = admitted(json.loads, too_deep(), ValueError)
    assert {"arrays, 65", "objects, 100000"} <= set(found)


def numbers(count: int) -> list[bytes]:
    """Return so many numbers as JSON spells them: integers of any length, and floats."""
    generator = random.Random(20260201)
    found = [
        b"%d" % (sign * (2**power + beside))
        for power in (53, 63, 64, 1_000, 14_000)
        for sign in (1, -1)
        for beside in (-1, 0, 1)
    ]
    found += [b"0", b"-0", b"9" * 4_300, b"-0.0", b"5e-324", b"1.7976931348623157e308"]
    while len(found) < count:
        number = struct.unpack("d", generator.randbytes(8))[0]
        if math.isfinite(number):
            found += [
                repr(number).encode(),
                b"%d" % generator.getrandbits(generator.randint(1, 300)),
            ]
    return found


def changed(read: Read, texts: list[bytes]) -> list[bytes]:
    """Return the numbers that are read as another value than the one they spell."""
    found = []
    for text in texts:
        value = read(text)
        is_integer = text.lstrip(b"-").isdigit()
        expected = int(text) if is_integer else float(text)
        if type(value) is not type(expected) or repr(value) != repr(expected):
            found.append(text)
    return found


@pytest.mark.fault("D2")
def test_no_number_is_changed_silently(figure: Callable[[str], None]) -> None:
    """A number keeps its value, or the body is refused: longer integers, and floats too large."""
    texts = numbers(10_000)
    refused = [b"9" * 4_301, b"1" + b"0" * 1_000_000, b"1e400", b"-1e400", b"1E+999999999"]
    for read in (decode, one_of_an_array, one_of_a_long_body):
        some = texts[:300] if read is one_of_a_long_body else texts
        assert changed(read, some) == []
        assert admitted(read, {text[:10].decode(): text for text in refused}) == []
    figure(f"0 of {len(texts)} numbers changed; {len(refused)} of {len(refused)} too large refused")


@pytest.mark.control("D2")
def test_a_reader_that_rounds_is_seen() -> None:
    """Orjson makes floats of long integers."""
    assert changed(orjson.loads, [b"%d" % 2**63, b"%d" % (2**64 + 1)]) == [b"%d" % (2**64 + 1)]


@pytest.mark.fault("D3")
def test_what_is_no_number_is_refused(figure: Callable[[str], None]) -> None:
    """NaN and both Infinities are refused wherever they stand."""
    bodies = {(place % word).decode(): place % word for word in NOT_A_NUMBER for place in PLACES}
    assert admitted(decode, bodies) == []
    assert admitted(one_of_a_long_body, bodies) == []
    assert admitted(one_of_an_array, {word.decode(): word for word in NOT_A_NUMBER}) == []
    figure(f"{len(NOT_A_NUMBER)} of 3 refused, each in {len(PLACES)} places")


@pytest.mark.control("D3")
def test_a_reader_that_takes_nan_is_seen() -> None:
    """Python's own reader takes all three."""
    bodies = {word.decode(): word for word in NOT_A_NUMBER}
    assert admitted(json.loads, bodies, ValueError) == list(bodies)


@pytest.mark.fault("D4")
def test_a_key_twice_is_refused_however_it_is_written(figure: Callable[[str], None]) -> None:
    """Two spellings of one key are one key, at any depth."""
    assert admitted(decode, TWICE) == []
    assert admitted(one_of_a_long_body, TWICE) == []
    figure(f"{len(TWICE)} of {len(TWICE)} refused")


@pytest.mark.control("D4")
def test_a_reader_that_keeps_one_of_two_is_seen() -> None:
    """Orjson takes the last of each."""
    assert admitted(orjson.loads, TWICE, ValueError) == list(TWICE)


@pytest.mark.fault("D5")
def test_what_is_not_utf8_is_refused(figure: Callable[[str], None]) -> None:
    """Bytes that are not UTF-8, and texts that no UTF-8 could hold, are refused."""
    assert admitted(decode, NOT_UTF8) == []
    assert admitted(one_of_a_long_body, NOT_UTF8) == []
    figure(f"{len(NOT_UTF8)} of {len(NOT_UTF8)} bodies that are not UTF-8 refused")


@pytest.mark.control("D5")
def test_a_lenient_reader_is_seen() -> None:
    """Python's own reader takes lone surrogates, and finds out encodings by itself."""
    found = admitted(json.loads, NOT_UTF8, ValueError)
    assert {"lone high surrogate", "UTF-16", "UTF-32"} <= set(found)


def test_what_is_json_is_read() -> None:
    """The checks above are not passed by refusing everything."""
    values: list[Json] = [[1], {"a": {"a": 1}}, "é😀", 1.5, 0, None]
    for value in values:
        assert decode(json.dumps(value).encode()) == value

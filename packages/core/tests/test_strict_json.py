"""Strict JSON: what is refused, what keeps its value, what is written."""

import gc
import json
import math
import random
import struct
import sys
import tracemalloc
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import msgspec
import numpy as np
import pytest

from stevedore_core.errors import BodyNotJson, OutputNotJson
from stevedore_core.strict_json import (
    MAX_CONTAINERS,
    MAX_DEPTH,
    Json,
    brackets_in,
    decode,
    encode,
)

TOO_LARGE = "the body holds a number too large for a 64-bit float"


def nested(opening: str, inside: str, closing: str, depth: int) -> bytes:
    """Return JSON that is `depth` times the container."""
    return (opening * depth + inside + closing * depth).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"secret", "expected value at line 1 column 1"),
        (b'{"a" "secret"}', "expected `:` at line 1 column 6"),
        (b"[1,\n2,]", "trailing comma at line 2 column 3"),
        (b"NaN", "expected value at line 1 column 1"),
        (b"[Infinity]", "expected value at line 1 column 2"),
        (b"-Infinity", "invalid number at line 1 column 2"),
        (b"\xef\xbb\xbf1", "expected value at line 1 column 1"),
        (b'"\xff"', "invalid unicode code point at line 1 column 2"),
        (b"1" * 5_000, "number out of range at line 1 column 4302"),
        (b"[" * 100_000, "recursion limit exceeded at line 1 column 202"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(body: bytes, reason: str) -> None:
    """The message says where, and repeats nothing of the body."""
    with pytest.raises(BodyNotJson) as caught:
        decode(body)
    assert str(caught.value) == f"the body is not strict JSON: {reason}"


@pytest.mark.parametrize(
    "body",
    [b'{"secret":1,"secret":1}', b'{"secret at line 9":1,"secret at line 9":1}'],
)
def test_a_key_twice_is_refused_without_naming_it(body: bytes) -> None:
    """An object has each key once; the message does not repeat the key."""
    with pytest.raises(BodyNotJson) as caught:
        decode(b"[" + body + b"]")
    column = len(body)
    assert str(caught.value) == (
        f"the body is not strict JSON: one object has the same key twice, at line 1 column {column}"
    )


@pytest.mark.parametrize(
    ("opening", "inside", "closing"),
    [("[", "", "]"), ('{"a":', "1", "}"), ('[{"a":', "1", "}]"), ('[1,"]\\"]",', "1", "]")],
    ids=["arrays", "objects", "mixed", "strings with brackets"],
)
def test_nesting_is_allowed_up_to_the_limit(opening: str, inside: str, closing: str) -> None:
    """64 levels are read, 65 are refused, whatever the containers are."""
    step = sum(opening.count(bracket) for bracket in "[{")
    deepest = nested(opening, inside, closing, MAX_DEPTH // step)
    assert decode(deepest) == json.loads(deepest)
    with pytest.raises(BodyNotJson) as caught:
        decode(b"[" + deepest + b"]")
    assert str(caught.value) == "the body is nested more than 64 levels deep"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500,
        '"' + "[" * 500,
        '\\"' + "[{" * 500,
        "\\\\" * 3 + "[" * 500,
        "]" * 500 + "[",
        "[" * 500 + "\\",
    ],
)
def test_brackets_in_strings_are_not_nesting(text: str) -> None:
    """Only containers nest; brackets and escaped quotes in strings and keys do not."""
    values: list[Json] = [text, [text, {text: text}, [[text]]]]
    for value in values:
        assert decode(json.dumps(value).encode()) == value


def test_brackets_in_strings_of_a_long_body_are_not_nesting() -> None:
    """Wherever a long body is cut while it is looked through, in a string or between two."""
    numbers: Json = [0] * 40_000
    value: Json = ["a" * 70_000 + "[" * 500, numbers, "[" * 500, numbers, "[" * 500, [[]] * 70]
    assert decode(json.dumps(value).encode()) == value


@pytest.mark.parametrize("beside", ["[],", "{},", "[{}],"])
def test_nesting_is_allowed_up_to_the_limit_beside_others(beside: str) -> None:
    """64 levels are read among many containers too, and 65 are not."""
    deepest = f"[{beside * 100}{'[' * 62}[]{']' * 62}]".encode()
    assert decode(deepest) == json.loads(deepest)
    with pytest.raises(BodyNotJson) as caught:
        decode(b"[" + deepest + b"]")
    assert str(caught.value) == "the body is nested more than 64 levels deep"


@pytest.mark.parametrize("container", [[], {}, {"a": []}])
def test_wide_is_not_deep(container: Json) -> None:
    """Ten thousand containers side by side do not nest."""
    value: Json = [container] * 10_000
    assert decode(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("opening", "item", "closing"),
    [("[", "[]", "]"), ("[", "{}", "]"), ('{"a":[', '{"":0}', "]}"), ('["[",', "[[]]", "]")],
    ids=["arrays", "objects", "both", "nests beside a string"],
)
def test_containers_are_read_up_to_the_limit(opening: str, item: str, closing: str) -> None:
    """So many arrays and objects are read, one more is refused, whatever is in them."""
    around, of_item = (sum(map(text.count, "[{")) for text in (opening.replace('"["', ""), item))
    items = [item] * ((MAX_CONTAINERS - around) // of_item)
    filler = ["[]"] * (MAX_CONTAINERS - around - of_item * len(items)) + ["0"] * MAX_CONTAINERS
    most = f"{opening}{','.join([*items, *filler])}{closing}".encode()
    assert decode(most) == json.loads(most)
    with pytest.raises(BodyNotJson) as caught:
        decode(b"[" + most + b"]")
    assert str(caught.value) == (
        "the body holds more than 500000 arrays and objects; send fewer at a time"
    )


def test_brackets_are_counted_once() -> None:
    """Who has asked how many there are hands that on."""
    body = b"[" * 65 + b"]" * 65
    assert brackets_in(body) == 65
    with pytest.raises(BodyNotJson):
        decode(body, 65)
    assert decode(body, 64) == json.loads(body)  # it is believed


def test_brackets_in_strings_are_no_containers() -> None:
    """A text of nothing but brackets is one value, in a key as in a string."""
    text = "[{" * MAX_CONTAINERS
    assert decode(json.dumps([text, {text: 0}]).encode()) == [text, {text: 0}]


def test_checking_the_depth_of_a_long_string_is_cheap() -> None:
    """Looking for nesting keeps no memory per character of a string."""
    body = b'["' + b"a" * 2_000_000 + b'"' + b",[]" * MAX_DEPTH + b"]"
    tracemalloc.start()
    try:
        decode(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * len(body)


@pytest.mark.parametrize(
    "number",
    [
        "1e400",
        "-1e400",
        "1E+400",
        "1e0400",
        "10.5e309",
        "1" + "0" * 309 + ".0",
        "-1" + "0" * 250 + "e99",
        "9" * 210 + "e99",
        "179769313486231580793e289",
    ],
)
@pytest.mark.parametrize("around", ["{}", "[{}]", '[1,{{"a":[{}]}}]'])
def test_a_float_that_would_be_infinite_is_refused(number: str, around: str) -> None:
    """No number becomes Infinity, wherever it stands and however it is written."""
    assert math.isinf(json.loads(number))
    with pytest.raises(BodyNotJson) as caught:
        decode(around.format(number).encode())
    assert str(caught.value) == TOO_LARGE


def test_infinite_floats_of_all_looks_are_refused() -> None:
    """One that looks large in each way hides none of the others."""
    with pytest.raises(BodyNotJson) as caught:
        decode(b'["x", 1e400, 1e+400, %b]' % (b"1" * 210))
    assert str(caught.value) == TOO_LARGE


@pytest.mark.parametrize(
    "number",
    [
        "1" * 309 + ".0",
        "1.7976931348623157e308",
        "9" * 400 + "e-300",
        "1e-400",
        "0." + "0" * 300 + "1e400",
        "5e-324",
        "0.1",
        "-0.0",
    ],
)
def test_a_float_keeps_its_value(number: str) -> None:
    """What fits a 64-bit float is read as the nearest one."""
    value = decode(number.encode())
    assert isinstance(value, float)
    assert struct.pack("d", value) == struct.pack("d", float(number))


@pytest.mark.parametrize("exponent", [0, 52, 53, 62, 63, 64, 65, 128, 1024, 14_000])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_integers_are_exact_both_ways(exponent: int, sign: int, beside: int) -> None:
    """No integer is rounded on the way in or out, up to the 4,300 digits that Python spells."""
    value = sign * 2**exponent + beside
    text = str(value).encode()
    assert decode(text) == value
    assert type(decode(text)) is int
    assert encode(value) == text
    assert decode(encode({"a": [value, 1.5, None]})) == {"a": [value, 1.5, None]}


def test_numbers_survive_a_round_trip() -> None:
    """10,000 numbers of any size come back bit for bit."""
    generator = random.Random(20260101)  # a seed, not a secret
    numbers: list[Json] = []
    while len(numbers) < 10_000:
        number = struct.unpack("d", generator.randbytes(8))[0]
        if math.isfinite(number):
            numbers += [number, generator.getrandbits(generator.randrange(1, 200))]
    decoded = decode(encode(numbers))
    assert isinstance(decoded, list)
    assert list(map(repr, decoded)) == list(map(repr, numbers))


class Colour(Enum):
    """An enumeration with a member that has no JSON form."""

    RED = "red"
    NONE = math.nan


@dataclass
class Point:
    """A class that orjson would write."""

    x: int


def cyclic(*inside: object) -> list[object]:
    """Return a list that holds itself."""
    value = list(inside)
    value.append(value)
    return value


def deep(*inside: object) -> object:
    """Return lists nested deeper than Python's stack."""
    value: object = list(inside)
    for _ in range(sys.getrecursionlimit() * 2):
        value = [value]
    return value


NO_FORM: dict[str, Callable[[], object]] = {
    "bytes": lambda: b"x",
    "set": lambda: {1},
    "datetime": lambda: datetime.now(UTC),
    "Decimal": lambda: Decimal(1),
    "object": object,
    "class": lambda: object,
    "dataclass": lambda: Point(1),
    "generator": lambda: (n for n in [1]),
    "complex": lambda: 1j,
    "complex array": lambda: np.array([1j]),
    "long double": lambda: np.longdouble(1),
    "masked array": lambda: np.ma.array([1, 2], mask=[True, False]),
    "lone surrogate": lambda: "\ud800",
    "lone surrogate beside a large integer": lambda: [2**70, "\ud800"],
    "key that is no string": lambda: {1: 2},
    "key that is no string beside a large integer": lambda: {"a": 2**70, 1: 2},
    "object beside a large integer": lambda: [2**70, object()],
    "cyclic": cyclic,
    "cyclic with a large integer": lambda: cyclic(2**70),
    "deep": deep,
    "deep with a large integer": lambda: deep(2**70),
    "large integer above what is deep": lambda: [2**70, deep()],
    "integer of 5,000 digits": lambda: 10**5_000,
}


@pytest.mark.parametrize("make", NO_FORM.values(), ids=NO_FORM)
def test_what_has_no_json_form_is_refused(make: Callable[[], object]) -> None:
    """Nothing is written in a form that its reader would have to guess."""
    for value in (make(), [None, make()], {"a": (1, make())}):
        with pytest.raises(OutputNotJson) as caught:
            encode(value)
        assert str(caught.value).startswith("the output has no JSON form: ")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (deep(), "Recursion limit reached"),
        ([2**70, deep()], "it is nested too deep"),
        (10**5_000, "Exceeds the limit (4300 digits) for integer string conversion"),
    ],
    ids=["deep", "deep beside a large integer", "5,000 digits"],
)
def test_the_refusal_says_what_is_too_much(value: object, reason: str) -> None:
    """Of the levels, or of the digits."""
    with pytest.raises(OutputNotJson) as caught:
        encode(value)
    assert str(caught.value).partition(";")[0] == f"the output has no JSON form: {reason}"


def test_nan_is_null_for_whom_that_is_enough() -> None:
    """Where it is asked for, NaN and Infinity are written as null, and null as ever."""
    value = [math.nan, None, {"a": np.array([math.inf, 1.5])}]
    assert encode(value, nan_as_null=True) == b'[null,null,{"a":[null,1.5]}]'


def test_the_refusal_names_the_type() -> None:
    """The author of the model reads which type to convert."""
    with pytest.raises(OutputNotJson) as caught:
        encode({"a": [Decimal(1)]})
    assert str(caught.value) == (
        "the output has no JSON form: Type is not JSON serializable: decimal.Decimal"
    )


@pytest.mark.parametrize(
    "number",
    [
        math.nan,
        math.inf,
        -math.inf,
        np.float32("nan"),
        np.float64("inf"),
        np.float16("nan"),
        np.array(np.nan),
        np.array([1, -np.inf]),
        np.array([[1.0, 2.0], [np.nan, 3.0]]).T,
        np.array([1, np.nan], dtype=object),
        Colour.NONE,
    ],
    ids=repr,
)
def test_nan_and_infinity_are_refused_anywhere(number: object) -> None:
    """What JSON cannot say is never written as null, in no place and beside nothing."""
    places = [
        number,
        [number],
        (1, number),
        {"a": number},
        [None, {"a": [number]}],
        [np.array([1]), number],
        [2**70, number],
        [np.datetime64("2026-01-01"), UUID(int=1), Colour.RED, number],
    ]
    for value in places:
        with pytest.raises(OutputNotJson) as caught:
            encode(value)
        assert str(caught.value) == "the output holds NaN or Infinity, which JSON cannot say"


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"a": [1, "é", True, None, 1.5]}, '{"a":[1,"é",true,null,1.5]}'),
        ((1, 2), "[1,2]"),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        (Counter("aab"), '{"a":2,"b":1}'),
        (defaultdict(list, a=[2**70]), '{"a":[1180591620717411303424]}'),
        ("null", '"null"'),
        (np.array([1, 2]), "[1,2]"),
        (np.array([[1.5], [2.5]]), "[[1.5],[2.5]]"),
        (np.array([[1, 2], [3, 4]]).T, "[[1,3],[2,4]]"),
        (np.array([[1, 2], [3, 4]])[:, 0], "[1,3]"),
        (np.array(1.5), "1.5"),
        (np.array([]), "[]"),
        (np.array([True, False]), "[true,false]"),
        (np.array(["a", "b"]), '["a","b"]'),
        (np.array(["a", None, 1], dtype=object), '["a",null,1]'),
        (np.str_("a"), '"a"'),
        (np.bool_(0), "false"),
        (np.int8(-1), "-1"),
        (np.uint64(2**64 - 1), "18446744073709551615"),
        (np.float16(1.5), "1.5"),
        (np.float32(0.25), "0.25"),
        (np.float64(0.1), "0.1"),
        ([None, np.array([1, 2])], "[null,[1,2]]"),
        ([None, np.float32(2)], "[null,2.0]"),
        ([None, np.datetime64("2026-01-01")], '[null,"2026-01-01T00:00:00"]'),
        ([None, UUID(int=1)], '[null,"00000000-0000-0000-0000-000000000001"]'),
        ([None, Colour.RED], '[null,"red"]'),
        ([2**70, np.array([1])], "[1180591620717411303424,[1]]"),
        ({"a": (2**70, -(2**63) - 1)}, '{"a":[1180591620717411303424,-9223372036854775809]}'),
    ],
)
def test_values_of_models_are_written(value: object, body: str) -> None:
    """JSON values, tuples and what numpy makes are written, in any company."""
    assert encode(value) == body.encode()


def test_floats_of_32_bits_keep_their_shortest_form() -> None:
    """A 32-bit float is written with the digits that tell it from its neighbours."""
    assert encode(np.array([0.1], dtype=np.float32)) == b"[0.1]"


@pytest.mark.parametrize(
    "number",
    [
        *("0", "-0", "-0.0", "7", "-7", "0.1", "1e5", "1E-5", "1e-400", "5e-324"),
        *("1.7976931348623157e308", f"0.{'1' * 40}", str(2**63), str(-(2**64))),
        *("9" * digits for digits in range(17, 24)),
    ],
)
def test_numbers_are_read_alike_wherever_they_stand(number: str) -> None:
    """Arrays of numbers are read by a faster parser: value and type are those of any other body."""
    alone = decode(f"[[{number}], true, null]".encode())
    with_text = decode(f'[[{number}], true, null, "x"]'.encode())
    assert repr(with_text) == f"{repr(alone)[:-1]}, 'x']"


@pytest.mark.parametrize("number", ["01", "1.", "+1", ".1", "1e", "NaN", "-Infinity", "1e400", "-"])
def test_what_is_no_number_is_refused_alike(number: str) -> None:
    """In an array of numbers as beside a text, and in the same words."""
    messages = set()
    for body in (f"[{number}]", f'[{number},"x"]'):
        with pytest.raises(BodyNotJson) as caught:
            decode(body.encode())
        messages.add(str(caught.value).partition(" at line")[0])
    assert len(messages) == 1


LONG_BYTES = 256 << 10


def test_a_key_twice_in_a_long_body_is_refused() -> None:
    """What is so long is read before its keys are counted; colons in texts do not count."""
    keys = b",".join(b'"k:%d":{"a":1,"b":[]}' % n for n in range(490))
    more = b",".join(b'"%d:":0' % n for n in range(10_000))
    body = b"{%b,%b}" % (keys, more) + b" " * LONG_BYTES
    assert decode(body) == json.loads(body)
    with pytest.raises(BodyNotJson) as caught:
        decode(body.replace(b'"b"', b'"\\u0061"', 1))
    assert str(caught.value) == "the body is not strict JSON: one object has the same key twice"


@pytest.mark.parametrize(
    ("length", "keys", "arrays", "objects", "place"),
    [
        (LONG_BYTES, 1_000, 500, 500, ""),
        (LONG_BYTES - 1, 1_000, 500, 500, ", at line 1 column"),
        (LONG_BYTES, 999, 500, 500, ", at line 1 column"),
        (LONG_BYTES, 1_000, 501, 500, ", at line 1 column"),
        (LONG_BYTES, 1_000, 500, 501, ", at line 1 column"),
    ],
)
def test_a_key_twice_is_told_with_its_place_but_in_a_long_body_with_many_keys(
    length: int, keys: int, arrays: int, objects: int, place: str
) -> None:
    """From 256 KiB, 1,000 keys and up to 1,000 containers on, keys are counted after reading."""
    inside = ",".join(["[]"] * (arrays - 1) + ["{}"] * (objects - 1))
    entries = ",".join(f'"{n or 1}":0' for n in range(keys - 1))
    body = f'{{{entries},"more":[{inside}]}}'.encode()
    with pytest.raises(BodyNotJson) as caught:
        decode(body.ljust(length))
    told = str(caught.value).rstrip("0123456789 ")
    assert told == f"the body is not strict JSON: one object has the same key twice{place}"


def test_a_long_body_with_many_keys_is_not_deep() -> None:
    """Its nesting is bounded like that of any other."""
    entries = b",".join(b'"%d":0' % n for n in range(1_000))
    for depth in (MAX_DEPTH - 1, MAX_DEPTH):
        body = b'{%b,"a":%b%b}' % (entries, b"[" * depth, b"]" * depth)
        if depth < MAX_DEPTH:
            assert decode(body.ljust(LONG_BYTES)) == json.loads(body)
            continue
        with pytest.raises(BodyNotJson) as caught:
            decode(body.ljust(LONG_BYTES))
        assert str(caught.value) == "the body is nested more than 64 levels deep"


def test_long_bodies_are_read_without_collections() -> None:
    """Nothing is collected while a long body is read, and collections go on after it."""
    collections: list[str] = []

    def note(phase: str, _info: Mapping[str, int]) -> None:
        collections.append(phase)

    body = b"[" + b",".join([b"[]"] * (LONG_BYTES // 2)) + b"]"
    gc.callbacks.append(note)
    try:
        assert len(msgspec.json.decode(body)) == LONG_BYTES // 2
        usual = len(collections)
        collections.clear()
        read = decode(body)
        while_reading = len(collections)
        again: list[list[int]] = [[] for _ in range(10_000)]
    finally:
        gc.callbacks.remove(note)
    assert usual > 10
    assert while_reading <= 2  # the one that was due once it was over
    assert len(collections) > while_reading
    assert (len(again), read) == (10_000, [[]] * (LONG_BYTES // 2))


def test_long_bodies_leave_collections_off_that_were_off() -> None:
    """Whoever runs without collections goes on without them."""
    gc.disable()
    try:
        assert decode(b"[]" + b" " * LONG_BYTES) == []
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("rows", [10, 64, 65, 1_000])
def test_many_arrays_of_numbers_are_not_deep(rows: int) -> None:
    """Depth is counted, not brackets; braces and brackets count alike."""
    assert decode(b"[%b]" % b",".join([b"[1,2]"] * rows)) == [[1, 2]] * rows
    within = b"[" * 62 + b'{"a":[1]}' + b"]" * 62
    assert decode(within) == json.loads(within)
    with pytest.raises(BodyNotJson):
        decode(b"[" + within + b"]")

"""Strict JSON: bytes that callers send become values, values that models return become bytes.

Strict means RFC 8259 and nothing more: UTF-8 without a byte order mark, no NaN or Infinity, no
number that would overflow to one, no key twice in one object, no integer rounded, no nesting beyond
`MAX_DEPTH` and no more than `MAX_CONTAINERS`.
"""

import gc
import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from itertools import accumulate
from typing import TypeAlias

import jiter
import msgspec
import orjson

from stevedore_core.errors import BodyNotJson, OutputNotJson

__all__ = ["MAX_CONTAINERS", "MAX_DEPTH", "Json", "brackets_in", "decode", "encode", "objects_in"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_DEPTH = 64
"""How many arrays and objects may stand inside one another."""

MAX_CONTAINERS = 500_000
"""How many arrays and objects there may be: in two bytes stands one that takes a hundred."""

# Only a number with three digits of exponent can overflow, or with two and 210 digits before its
# point; every digit counts as `0` here.
_DIGITS_TO_ZERO = bytes.maketrans(b"0123456789E", b"0000000000e")
_MAY_OVERFLOW = (b"e000", b"e+000", b"0" * 210)

_LONG_BODY_BYTES = 256 << 10
"""From here on a body may hold so much that collections stop its being read."""

_MANY_KEYS = 1_000
_FEW_CONTAINERS = 1_000
"""So many are soon looked through."""

_BRACE_TO_BRACKET = bytes.maketrans(b"{}", b"[]")
_BRACKET_TO_STEP = bytes.maketrans(b"[]", b"\x01\xff")
_ROUNDS = 8
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_NO_COLON = bytes(set(range(256)) - set(b":"))
_WINDOW_BYTES = 64 << 10

_ORJSON_INTEGERS = range(-(2**63), 2**64)

_ENCODE_OPTIONS = (
    orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
)


def decode(body: bytes, brackets: int = 0) -> Json:
    """Return the value that `body` holds.

    Args:
        body: What was sent.
        brackets: What `brackets_in` says of it, if it was asked.

    Raises:
        BodyNotJson: It is not strict JSON; the message names the place, never the content.
    """
    brackets = brackets or brackets_in(body)
    if brackets > MAX_CONTAINERS:
        _check_containers(body)
    if b'"' not in body:
        # Without a string there is no key to stand twice. What this reader, which is faster and
        # takes less memory, makes of the rest is as strict; what it refuses is refused below.
        with suppress(msgspec.DecodeError, RecursionError):
            read: Json = _reading(msgspec.json.decode, body)
            _check_depth(body, brackets)
            return read
    if _holds_many_keys(body, brackets):
        with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return _read_many_keys(body, brackets)
    may_overflow = _may_overflow(body)
    try:
        value: Json = _reading(_read_with_keys, body)
    except ValueError as error:
        raise BodyNotJson(f"the body is not strict JSON: {_reason(str(error))}") from None
    _check_depth(body, brackets)
    if may_overflow and _has_infinity(value):
        raise BodyNotJson("the body holds a number too large for a 64-bit float")
    return value


def brackets_in(body: bytes) -> int:
    """Return how many arrays and objects `body` holds, or more: brackets in strings count too."""
    return body.count(b"[") + body.count(b"{")


def objects_in(value: Json) -> Iterator[dict[str, Json]]:
    """Yield every object in `value`, itself included, in no order."""
    containers = [value]
    while containers:
        container = containers.pop()
        if isinstance(container, dict):
            yield container
            container = list(container.values())
        if isinstance(container, list):
            containers += [item for item in container if isinstance(item, dict | list)]


def encode(value: object, *, nan_as_null: bool = False) -> bytes:
    """Return `value` as JSON; numpy arrays and scalars are written as lists and numbers.

    Raises:
        OutputNotJson: Something in it has no JSON form; NaN and Infinity have none but `null`, and
            that only with `nan_as_null`.
    """
    try:
        body = _dump(value)
        if (
            b"null" in body and not nan_as_null
        ):  # orjson writes NaN and Infinity as null: every null is looked at twice
            json.dumps(value, allow_nan=False, default=_inside)
    except TypeError as error:
        raise OutputNotJson(f"the output has no JSON form: {error}") from error
    except RecursionError as error:
        raise OutputNotJson("the output has no JSON form: it is nested too deep") from error
    except ValueError:
        raise OutputNotJson("the output holds NaN or Infinity, which JSON cannot say") from None
    return body


def _reading(read: Callable[[bytes], Json], body: bytes) -> Json:
    """Return what `read` makes of `body`, without collections: nothing that is read is garbage."""
    if len(body) < _LONG_BODY_BYTES or not gc.isenabled():
        return read(body)
    gc.disable()
    try:
        return read(body)
    finally:
        gc.enable()


def _read_with_keys(body: bytes) -> Json:
    value: Json = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    return value


def _holds_many_keys(body: bytes, brackets: int) -> bool:
    """Tell whether it pays to read first and look for keys that stand twice after that."""
    is_flat = len(body) >= _LONG_BODY_BYTES and brackets <= _FEW_CONTAINERS
    return is_flat and body.count(b":") >= _MANY_KEYS


def _read_many_keys(body: bytes, brackets: int) -> Json:
    value: Json = _reading(msgspec.json.decode, body)
    _check_depth(body, brackets)
    # Of two entries with one key only one is left, but each has its colon.
    entries = sum(map(len, objects_in(value)))
    if entries != body.count(b":") and entries != len(_outside_strings(body, _NO_COLON)):
        raise BodyNotJson("the body is not strict JSON: one object has the same key twice")
    return value


def _may_overflow(body: bytes) -> bool:
    """Tell whether a number in `body` looks as if it could be too large for a float."""
    digits = body.translate(_DIGITS_TO_ZERO)
    return any(sign in digits for sign in _MAY_OVERFLOW)


def _dump(value: object) -> bytes:
    try:
        return orjson.dumps(value, _numpy_to_list, _ENCODE_OPTIONS)
    except TypeError as error:
        if "Integer exceeds" not in str(error):
            raise
    return orjson.dumps(_spell_large_integers(value), _numpy_to_list, _ENCODE_OPTIONS)


def _numpy_to_list(value: object) -> object:
    """Convert what orjson leaves: arrays of strings or objects, transposed ones, single items."""
    if type(value).__module__ != "numpy":
        raise TypeError
    return value.tolist()  # type: ignore[attr-defined]  # every numpy array and scalar has it


def _inside(value: object) -> object:
    """Return what a value that only orjson knows is made of, so that a NaN in it is found."""
    if isinstance(value, Enum):
        return value.value
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _spell_large_integers(value: object) -> object:
    """Replace integers beyond 64 bits, which orjson refuses, by their digits."""
    if isinstance(value, list | tuple):
        return [_spell_large_integers(item) for item in value]
    if isinstance(value, dict):
        return {key: _spell_large_integers(item) for key, item in value.items()}
    if type(value) is int and value not in _ORJSON_INTEGERS:
        try:
            return orjson.Fragment(str(value))
        except ValueError as error:  # Python spells no more than 4,300 digits
            raise TypeError(str(error)) from error
    return value


def _reason(message: str) -> str:
    """Keep the place, drop the key that jiter quotes: an error never repeats what was sent."""
    if message.startswith("Detected duplicate key"):
        return f"one object has the same key twice, {message[message.rindex('at line') :]}"
    return message


def _check_containers(body: bytes) -> None:
    if brackets_in(_outside_strings(body, _NO_BRACKET)) > MAX_CONTAINERS:
        raise BodyNotJson(
            f"the body holds more than {MAX_CONTAINERS} arrays and objects; send fewer at a time"
        )


def _check_depth(body: bytes, brackets: int) -> None:
    """Raise `BodyNotJson` if the valid JSON in `body` is too deep.

    Each round takes the innermost brackets away, which is one level; what has many is counted.
    """
    if brackets <= MAX_DEPTH:
        return
    nested = _outside_strings(body, _NO_BRACKET).translate(_BRACE_TO_BRACKET)
    for _ in range(_ROUNDS):
        nested = nested.replace(b"[]", b"")
        if not nested:
            return
    steps = memoryview(nested.translate(_BRACKET_TO_STEP)).cast("b")
    if _ROUNDS + max(accumulate(steps)) > MAX_DEPTH:
        raise BodyNotJson(f"the body is nested more than {MAX_DEPTH} levels deep")


def _outside_strings(body: bytes, dropped: bytes) -> bytes:
    """Return what of the valid JSON in `body` stands in no string, without the `dropped` bytes.

    It is cut at its quotes a window at a time: all its pieces would hold many times its memory.
    """
    if b'"' not in body:
        return body.translate(None, dropped)
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    kept, is_inside = [], 0
    for begin in range(0, len(body), _WINDOW_BYTES):
        pieces = body[begin : begin + _WINDOW_BYTES].split(b'"')
        kept.append(b"".join(pieces[is_inside::2]).translate(None, dropped))
        is_inside ^= (len(pieces) - 1) & 1
    return b"".join(kept)


def _has_infinity(value: Json) -> bool:
    if isinstance(value, float):
        return math.isinf(value)
    if isinstance(value, list):
        return any(_has_infinity(item) for item in value)
    if isinstance(value, dict):
        return any(_has_infinity(item) for item in value.values())
    return False

"""Strict JSON: bytes that callers send become values, values that models return become bytes.

Strict means RFC 8259 and nothing more: UTF-8 without a byte order mark, no NaN or Infinity, no
number that would overflow to one, no key twice in one object, no integer rounded, and no nesting
beyond `MAX_DEPTH`.
"""

import json
import math
import re
from contextlib import suppress
from enum import Enum
from typing import TypeAlias

import jiter
import orjson

from stevedore_core.errors import BodyNotJson, OutputNotJson

__all__ = ["MAX_DEPTH", "Json", "decode", "encode"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_DEPTH = 64
"""How many arrays and objects may stand inside one another."""

# Only a number with three digits of exponent can overflow, or with two and 210 digits before its
# point; every digit counts as `0` here.
_DIGITS_TO_ZERO = bytes.maketrans(b"0123456789E", b"0000000000e")
_MAY_OVERFLOW = (b"e000", b"e+000", b"0" * 210)

_LONG_INTEGER = b"0" * 19
"""As many digits as an integer beyond 64 bits has at least."""

_BRACE_TO_BRACKET = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
# Possessive, for a pattern that may come back to each character of a string remembers each.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')

_ORJSON_INTEGERS = range(-(2**63), 2**64)

_ENCODE_OPTIONS = (
    orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
)


def decode(body: bytes) -> Json:
    """Return the value that `body` holds.

    Raises:
        BodyNotJson: It is not strict JSON; the message names the place, never the content.
    """
    digits = body.translate(_DIGITS_TO_ZERO)
    is_numbers = b'"' not in body and b"{" not in body
    if is_numbers and _LONG_INTEGER not in digits:
        # Arrays of numbers hold no keys, and none of these numbers is rounded or overflows unseen:
        # orjson, which is faster, reads them as strictly. What it refuses is refused below.
        with suppress(orjson.JSONDecodeError):
            read: Json = orjson.loads(body)
            _check_depth(body)
            return read
    try:
        value: Json = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise BodyNotJson(f"the body is not strict JSON: {_reason(str(error))}") from None
    _check_depth(body)
    if any(sign in digits for sign in _MAY_OVERFLOW) and _has_infinity(value):
        raise BodyNotJson("the body holds a number too large for a 64-bit float")
    return value


def encode(value: object) -> bytes:
    """Return `value` as JSON; numpy arrays and scalars are written as lists and numbers.

    Raises:
        OutputNotJson: Something in it has no JSON form, NaN and Infinity included.
    """
    try:
        body = _dump(value)
        if b"null" in body:  # orjson writes NaN and Infinity as null: every null is looked at twice
            json.dumps(value, allow_nan=False, default=_inside)
    except TypeError as error:
        raise OutputNotJson(f"the output has no JSON form: {error}") from error
    except RecursionError as error:
        raise OutputNotJson("the output has no JSON form: it is nested too deep") from error
    except ValueError:
        raise OutputNotJson("the output holds NaN or Infinity, which JSON cannot say") from None
    return body


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


def _check_depth(body: bytes) -> None:
    """Raise `BodyNotJson` if the valid JSON in `body` is too deep.

    Each round takes the innermost brackets away, which is one level.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    bare = _STRING.sub(b"", body) if b'"' in body else body
    brackets = bare.translate(_BRACE_TO_BRACKET, _NO_BRACKET)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    raise BodyNotJson(f"the body is nested more than {MAX_DEPTH} levels deep")


def _has_infinity(value: Json) -> bool:
    if isinstance(value, float):
        return math.isinf(value)
    if isinstance(value, list):
        return any(_has_infinity(item) for item in value)
    if isinstance(value, dict):
        return any(_has_infinity(item) for item in value.values())
    return False

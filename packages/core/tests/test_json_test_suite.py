"""JSONTestSuite is the referee of strict JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stevedore_core.errors import BodyNotJson
from stevedore_core.strict_json import decode

LONG_BYTES = 256 << 10
MANY_KEYS = b"".join(b'"%d":0,' % number for number in range(1_000))
FILES = 318

# Valid by the grammar, and refused here: which of two values counts would be a guess.
DUPLICATE_KEYS = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}

# The grammar leaves these to the parser. All others of them are refused.
ACCEPTED_BY_CHOICE = {
    "i_number_double_huge_neg_exp.json",  # nearest float is zero
    "i_number_real_underflow.json",  # the same
    "i_number_too_big_neg_int.json",  # integers are exact
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
}


def is_accepted(file: Path, read: Callable[[bytes], object] = decode) -> bool:
    """Return whether strict JSON, or another reader of JSON, reads the file."""
    try:
        read(file.read_bytes())
    except BodyNotJson:
        return False
    return True


@pytest.fixture(scope="module")
def accepted(test_data: Path) -> dict[str, bool]:
    """Every file of the suite, and whether it was accepted."""
    files = (test_data / "json-test-suite" / "test_parsing").glob("*.json")
    return {file.name: is_accepted(file) for file in files}


def test_the_suite_is_whole(accepted: dict[str, bool]) -> None:
    """No file is missing, and each is of a known kind."""
    assert len(accepted) == FILES
    assert {name[:2] for name in accepted} == {"n_", "y_", "i_"}


def broken_yet_accepted(accepted: dict[str, bool]) -> list[str]:
    """Return the files that break the grammar and were accepted."""
    return sorted(name for name, was in accepted.items() if name.startswith("n_") and was)


@pytest.mark.fault("D5")
def test_what_must_be_refused_is(accepted: dict[str, bool], figure: Callable[[str], None]) -> None:
    """No file that breaks the grammar is accepted."""
    assert broken_yet_accepted(accepted) == []
    count = sum(name.startswith("n_") for name in accepted)
    figure(f"{count} of {count} n_ files of JSONTestSuite refused")


@pytest.mark.control("D5")
def test_a_reader_that_accepts_too_much_is_seen(test_data: Path) -> None:
    """Python's own reader accepts three files that break the grammar."""

    def read(body: bytes) -> None:
        try:
            json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BodyNotJson(str(error)) from None

    files = (test_data / "json-test-suite" / "test_parsing").glob("*.json")
    accepted = {file.name: is_accepted(file, read) for file in files}
    assert broken_yet_accepted(accepted) == [
        "n_number_NaN.json",
        "n_number_infinity.json",
        "n_number_minus_infinity.json",
    ]


@pytest.mark.fault("D5")
def test_what_must_be_accepted_is(accepted: dict[str, bool]) -> None:
    """Every file that follows the grammar is accepted, duplicate keys aside."""
    refused = {name for name, was in accepted.items() if name.startswith("y_") and not was}
    assert refused == DUPLICATE_KEYS


def test_long_bodies_are_read_alike(accepted: dict[str, bool], test_data: Path) -> None:
    """What stands behind many keys is read by another reader, which accepts as much."""

    def read(body: bytes) -> None:
        decode(b'{%b"a":%b}' % (MANY_KEYS, body) + b" " * LONG_BYTES)

    files = (test_data / "json-test-suite" / "test_parsing").glob("*.json")
    assert {file.name: is_accepted(file, read) for file in files} == accepted


def test_what_is_left_to_the_parser_is_decided(accepted: dict[str, bool]) -> None:
    """The outcome of each file that the grammar leaves open is written down here."""
    chosen = {name for name, was in accepted.items() if name.startswith("i_") and was}
    assert chosen == ACCEPTED_BY_CHOICE

"""A JSON Pointer is written and read as RFC 6901 says."""

import pytest

from stevedore_core.json_pointers import escape, follow, pointer_of, steps_of
from stevedore_core.strict_json import Json

# What section 5 of RFC 6901 points at in its document, but for the text of the whole.
POINTERS = {
    "": [],
    "/foo/0": ["foo", "0"],
    "/": [""],
    "/a~1b": ["a/b"],
    "/c%d": ["c%d"],
    "/i\\j": ["i\\j"],
    "/ ": [" "],
    "/m~0n": ["m~n"],
    "/~01": ["~1"],
    "/~00~10": ["~0/0"],
    "/a//b": ["a", "", "b"],
}


@pytest.mark.parametrize("pointer", POINTERS)
def test_there_and_back(pointer: str) -> None:
    """A pointer comes to its steps, and these to the pointer."""
    assert steps_of(pointer) == POINTERS[pointer]
    assert pointer_of(POINTERS[pointer]) == pointer


def test_places_in_arrays() -> None:
    """A place in an array is a number, counted from 0."""
    assert pointer_of(["rows", 0, 12]) == "/rows/0/12"


def test_one_step() -> None:
    """A key alone is a step without its slash, so that a pointer can grow by it."""
    assert f"/$defs/{escape('a/b~')}" == "/$defs/a~1b~0"


@pytest.mark.parametrize(("reference", "steps"), [("#", []), ("#/a~1b/c", ["a/b", "c"])])
def test_references(reference: str, steps: list[str]) -> None:
    """A reference within a document is a pointer after a `#`."""
    assert steps_of(reference) == steps


@pytest.mark.parametrize(
    ("steps", "reached"),
    [
        ([], ({"a": [{"b": 1}]}, 0)),
        (["a", "0", "b"], (1, 3)),
        (["a", "1"], ([{"b": 1}], 1)),
        (["a", "\N{SUPERSCRIPT TWO}"], ([{"b": 1}], 1)),
        (["a", "0", "c", "b"], ({"b": 1}, 2)),
        (["a", "0", "b", "c"], (1, 3)),
    ],
)
def test_following(steps: list[str], reached: tuple[Json, int]) -> None:
    """Steps are taken as far as they lead; what is no number is no place in an array."""
    assert follow({"a": [{"b": 1}]}, steps) == reached

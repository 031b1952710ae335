"""The tree of exceptions: what is drawn, what there is, and what each can say."""

import re
from itertools import pairwise

import pytest

from stevedore_core import errors
from stevedore_core.errors import (
    BodyNotJson,
    PayloadInvalid,
    StevedoreError,
    Violation,
    describe,
)


def drawn_tree() -> set[tuple[str, str]]:
    """Return (class, base) of each line of the drawing, read by its indentation."""
    lines = re.findall(r"^ {4}((?:[│├└─ ]*))(\w+)", str(errors.__doc__), re.MULTILINE)
    bases: list[str] = []
    pairs = set()
    for indentation, name in lines:
        level = len(indentation) // 4
        del bases[level:]
        pairs.add((name, bases[-1] if bases else "Exception"))
        bases.append(name)
    return pairs


def classes() -> list[type[StevedoreError]]:
    """Return every exception class that the module defines."""
    found = [StevedoreError]
    for known in found:
        found += known.__subclasses__()
    return [one for one in found if one.__module__ == errors.__name__]


def test_the_drawing_is_the_tree() -> None:
    """Every class stands in the drawing under its base, and nothing else does."""
    assert drawn_tree() == {
        (one.__name__, base.__name__) for one in classes() for base in one.__bases__
    }


def test_public_names_are_listed_and_sorted() -> None:
    """`__all__` holds every public name of the module, in order."""
    defined = {
        name
        for name, value in vars(errors).items()
        if getattr(value, "__module__", None) == errors.__name__ and not name.startswith("_")
    }
    assert set(errors.__all__) == defined
    assert errors.__all__ == sorted(errors.__all__)


def test_codes_are_stable_names_of_their_classes() -> None:
    """The code of a class is its name in kebab case, from which the base leaves out the project."""
    assert StevedoreError.code == "error"
    assert BodyNotJson.code == "body-not-json"
    codes = {one.code: one.__name__ for one in classes() if one is not StevedoreError}
    assert len(codes) == len(classes()) - 1
    for code, name in codes.items():
        assert "".join(map(str.capitalize, code.split("-"))) == name


@pytest.mark.parametrize("one", classes())
def test_each_class_says_what_it_is(one: type[StevedoreError]) -> None:
    """Each class has a docstring of its own, which the drawing summarises."""
    assert one.__doc__
    assert all(one.__doc__ != other.__doc__ for other in classes() if other is not one)


def test_an_invalid_payload_lists_its_violations_in_order() -> None:
    """The message of PayloadInvalid names each pointer with its sentence."""
    first, second = Violation("/0", "is wrong"), Violation("/1/a~1b", "is wrong too")
    error = PayloadInvalid([first, second])
    assert error.violations == (first, second)
    assert str(error) == (
        "the payload does not fit the schema: `/0`: is wrong; `/1/a~1b`: is wrong too"
    )


class Unspeakable(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no"), "ValueError: no"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(3), "SystemExit: 3"),
        (StopIteration(), "StopIteration"),
        (BodyNotJson("bad"), "stevedore_core.errors.BodyNotJson: bad"),
        (Unspeakable(), f"{__name__}.Unspeakable: <exception str() failed>"),
    ],
)
def test_any_error_can_be_described(error: BaseException, said: str) -> None:
    """`describe` names the class and the message, and survives one that cannot be shown."""
    assert describe(error) == said


def test_siblings_are_drawn_with_the_right_corner() -> None:
    """The last child of a class has a corner, the others a tee."""
    rows = re.findall(r"^ {4}([│ ]*)([├└])── ", str(errors.__doc__), re.MULTILINE)
    for (depth, corner), (next_depth, _) in pairwise(rows):
        if corner == "└":
            assert len(next_depth) < len(depth)

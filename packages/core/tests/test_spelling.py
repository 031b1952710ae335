"""What may have been meant by an unknown name."""

import pytest

from stevedore_core.spelling import closest, did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("minItem", ["maxItems", "minItems"], "minItems"),
        ("pb", ["bmi", "bp"], "bp"),
        ("ADDRESS", ["address", "age"], "address"),
        ("tulip", ["iris", "wine"], None),
        ("iris", [], None),
    ],
)
def test_closest(word: str, known: list[str], meant: str | None) -> None:
    """Letters count, then letters of whatever case, then their order in short names."""
    assert closest(word, known) == meant


def test_did_you_mean() -> None:
    """It ends a sentence, or is nothing."""
    assert did_you_mean("nam", ["name"]) == "; did you mean `name`?"
    assert did_you_mean("tulip", ["name"]) == ""

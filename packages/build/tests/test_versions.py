"""The order of versions, and what a step from one to the next promises."""

import pytest

from stevedore_build.versions import PARTS, Part, bumped, next_version, numbers, part_between


def test_order() -> None:
    """Versions are ordered by their numbers, not by their letters."""
    assert sorted(["1.10.0", "1.9.0", "1.9.12", "0.99.99"], key=numbers) == [
        "0.99.99",
        "1.9.0",
        "1.9.12",
        "1.10.0",
    ]


@pytest.mark.parametrize(
    ("part", "expected"), [("patch", "1.2.4"), ("minor", "1.3.0"), ("major", "2.0.0")]
)
def test_bumped(part: Part, expected: str) -> None:
    """What is below the part that goes up begins anew."""
    assert bumped("1.2.3", part) == expected


@pytest.mark.parametrize("part", PARTS)
def test_a_step_promises_its_part(part: Part) -> None:
    """What was bumped is read back."""
    assert part_between("1.2.3", bumped("1.2.3", part)) == part


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("0.1.0", "0.2.0", "major"), ("0.1.0", "0.1.1", "patch"), ("0.9.0", "1.0.0", "major")],
)
def test_below_one(old: str, new: str, expected: Part) -> None:
    """Below 1.0.0 a minor step may break what was."""
    assert part_between(old, new) == expected


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("old", ["0.1.0", "1.2.3"])
def test_next_version(old: str, part: Part) -> None:
    """The version that is advised promises at least what was asked for."""
    promised = part_between(old, next_version(old, part))
    assert PARTS.index(promised) >= PARTS.index(part)

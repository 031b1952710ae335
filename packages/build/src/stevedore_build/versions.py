"""Exact versions such as `1.0.0` in their order, and the part in which one is above another."""

from typing import Final, Literal, get_args

__all__ = ["PARTS", "Part", "bumped", "next_version", "numbers", "part_between"]

Part = Literal["patch", "minor", "major"]
"""What a release promises: the same and better; more and nothing less; something else."""

PARTS: Final[tuple[Part, ...]] = get_args(Part)
"""The parts, the least first."""


def numbers(version: str) -> tuple[int, int, int]:
    """Return the numbers of a version, by which versions are ordered."""
    major, minor, patch = (int(number) for number in version.split("."))
    return major, minor, patch


def bumped(version: str, part: Part) -> str:
    """Return the next version in which `part` is one higher."""
    major, minor, patch = numbers(version)
    following = {
        "major": (major + 1, 0, 0),
        "minor": (major, minor + 1, 0),
        "patch": (major, minor, patch + 1),
    }
    return ".".join(str(number) for number in following[part])


def part_between(old: str, new: str) -> Part:
    """Return the part that the step from `old` to a higher version promises.

    Below 1.0.0 a minor step counts as a major one: nothing is promised to last yet.
    """
    before, after = numbers(old), numbers(new)
    if before[0] != after[0]:
        return "major"
    if before[1] != after[1]:
        return "minor" if after[0] else "major"
    return "patch"


def next_version(old: str, part: Part) -> str:
    """Return the lowest version above `old` that promises a part."""
    return bumped(old, "minor" if part == "major" and old.startswith("0.") else part)

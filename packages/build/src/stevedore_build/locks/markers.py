"""What a requirement's marker means on the platforms a lock covers.

`resolving` shortens markers with it, `locking` reads requirements, `layouts.layers` picks the pins
of one platform.
"""

from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import Final

from packaging.markers import Marker
from packaging.requirements import Requirement

from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, MACOS_ARM64, PLATFORMS, Platform
from stevedore_core.requirements_files import Pin

__all__ = ["ever_holds", "holds", "on_platform", "requirement_of", "shorten"]

_PARSING: Final = Lock()
"""Strings in markers are read by Python's own parser, and environments are resolved in threads. Two
of these that read at a time make CPython 3.11 raise a `SystemError`."""

_PATCHES: Final = range(100)
"""More patch versions than any minor version of Python has."""

_SHORT: Final = {
    frozenset({LINUX_AMD64.name, LINUX_ARM64.name}): "sys_platform == 'linux'",
    frozenset({MACOS_ARM64.name}): "sys_platform == 'darwin'",
    frozenset({LINUX_AMD64.name}): "platform_machine == 'x86_64'",
    frozenset({LINUX_ARM64.name}): "platform_machine == 'aarch64'",
    frozenset({LINUX_AMD64.name, MACOS_ARM64.name}): "platform_machine != 'aarch64'",
    frozenset({LINUX_ARM64.name, MACOS_ARM64.name}): "platform_machine != 'x86_64'",
}


def requirement_of(text: str) -> Requirement:
    """Return what a line of a wheel's metadata requires, in whatever thread it is read."""
    with _PARSING:
        return Requirement(text)


@cache
def _marker_of(text: str) -> Marker:
    with _PARSING:
        return Marker(text)


def holds(marker: str | None, platform: Platform, python: str, extra: str = "") -> bool:
    """Tell whether a marker is true on a platform; `python` is a full version."""
    values = {**platform.marker_values(python), "extra": extra}
    return marker is None or _marker_of(marker).evaluate(values)


def ever_holds(marker: str, minor: str, extra: str) -> bool:
    """Tell whether a marker is true anywhere that locks cover, for some patch of Python."""
    return any(
        holds(marker, platform, f"{minor}.{patch}", extra)
        for platform in PLATFORMS
        for patch in _PATCHES
    )


def on_platform(pins: Iterable[Pin], platform: Platform, python: str) -> tuple[Pin, ...]:
    """Return the pins that apply on a platform; `python` is a full version."""
    return tuple(pin for pin in pins if holds(pin.marker, platform, python))


def shorten(marker: str, minor: str) -> tuple[bool, str | None]:
    """Say in few words when a marker is true on the platforms that locks cover.

    Returns whether it is ever true, and the marker to write, `None` for always. A marker that
    depends on the patch version of Python is left as it is.
    """
    found = {
        frozenset(p.name for p in PLATFORMS if holds(marker, p, f"{minor}.{patch}"))
        for patch in _PATCHES
    }
    if len(found) > 1:
        return True, marker
    (names,) = found
    if len(names) == len(PLATFORMS):
        return True, None
    return bool(names), _SHORT.get(names)

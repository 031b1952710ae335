"""What is installed in a layout, held against its lock.

Build calls it before it tests a layout, the front when it starts. Only names and versions are read,
from the `.dist-info` directories; nothing is imported.
"""

import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from stevedore_core.fields import normalise
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock
from stevedore_core.requirements_files import Pin

__all__ = ["differences", "installed_in"]

_SIMPLE_MARKER: Final = re.compile(r"(sys_platform|platform_machine) (==|!=) '([^']*)'")
_OWN_PREFIX: Final = "ml-py-stevedore-"

_Expected = Mapping[str, frozenset[str | None]]
"""By distribution, the versions it may have; `None` among them lets it be absent."""


def installed_in(directory: Path) -> Mapping[str, str]:
    """Return the version of every distribution in a directory, by its normalised name."""
    found = {}
    for info in sorted(directory.glob("*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        found[normalise(name)] = version
    return found


def differences(layout: Layout, lock: Lock) -> tuple[str, ...]:
    """Say in what a layout for this machine differs from a lock; empty means in nothing."""
    expected: dict[Path, _Expected] = {
        layout.environment(environment.name): _expected(environment.pins)
        for environment in lock.environments
    }
    for wheel in lock.wheels:
        place = layout.own(wheel.distribution.removeprefix(_OWN_PREFIX))
        expected[place] = {wheel.distribution: frozenset({wheel.version})}
    for model in lock.models:
        place = layout.model(model.name, model.version)
        expected[place] = {model.distribution: frozenset({model.version})}
    found: list[str] = []
    for place, wanted in expected.items():
        found += _differences(place.relative_to(layout.root), installed_in(place), wanted)
    there = [*layout.root.glob("environments/*"), *layout.root.glob("models/*/*")]
    for place in sorted(set(there) - set(expected)):
        found.append(f"`{place.relative_to(layout.root)}`: not in the lock")
    return tuple(found)


def _differences(place: Path, installed: Mapping[str, str], expected: _Expected) -> Iterator[str]:
    for name in sorted(installed.keys() | expected.keys()):
        wanted, version = expected.get(name, frozenset({None})), installed.get(name)
        if version not in wanted:
            locked = " or ".join(sorted(v for v in wanted if v is not None))
            yield (
                f"`{place}`: `{name}`: "
                f"{f'{locked} is locked' if locked else 'not in the lock'}, "
                f"{'it is absent' if version is None else f'{version} is installed'}"
            )


def _expected(pins: Iterable[Pin]) -> _Expected:
    """Return what the pins of an environment come to on this machine."""
    expected: dict[str, frozenset[str | None]] = {}
    for pin in pins:
        holds = _holds(pin.marker)
        if holds is not False:
            versions = {pin.version} if holds else {pin.version, None}
            expected[pin.name] = expected.get(pin.name, frozenset()) | versions
    return expected


def _holds(marker: str | None) -> bool | None:
    """Tell whether a marker is true here; `None` for one of those that few locks have.

    Those are not decided here: the front has nothing that evaluates markers.
    """
    if marker is None:
        return True
    match = _SIMPLE_MARKER.fullmatch(marker)
    if match is None:
        return None
    here = sys.platform if match[1] == "sys_platform" else platform.machine()
    return (here == match[3]) == (match[2] == "==")

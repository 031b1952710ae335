"""Which models of a composition share an environment. Only `locking` calls it.

First fit in manifest order. A model stays where the previous lock has it as long as it fits there.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Final

from stevedore_core.lock import Lock
from stevedore_core.manifest import DEFAULT_ENVIRONMENT, Manifest, ModelPin

__all__ = ["Fits", "environment_order", "is_automatic", "share_out"]

Fits = Callable[[str, tuple[ModelPin, ...]], bool]
"""Tells whether the environment of a name can hold some models together."""

_AUTOMATIC: Final = re.compile(rf"{DEFAULT_ENVIRONMENT}(?:-[1-9][0-9]*)?")


def is_automatic(environment: str) -> bool:
    """Tell whether an environment bears a name that is given automatically."""
    return _AUTOMATIC.fullmatch(environment) is not None


def environment_order(environment: str) -> tuple[bool, int, str]:
    """Return what to sort environments by: those named automatically first, by their number."""
    if not is_automatic(environment):
        return (True, 0, environment)
    number = int(environment.removeprefix(DEFAULT_ENVIRONMENT).removeprefix("-") or 1)
    return (False, number, environment)


def share_out(
    manifest: Manifest, fits: Fits, *, previous: Lock | None
) -> Mapping[str, tuple[ModelPin, ...]]:
    """Return the models of every environment, in manifest order.

    What is put together against its requirements (by the manifest, or because a model cannot even
    be alone) is returned all the same: resolving it says what is wrong.
    """
    places: dict[str, list[ModelPin]] = {}
    free = [pin for pin in manifest.models if pin.environment is None]
    for pin in manifest.models:
        if pin.environment is not None:
            places.setdefault(pin.environment, []).append(pin)
    if manifest.environments == "one":
        places.setdefault(DEFAULT_ENVIRONMENT, []).extend(free)
    else:
        may_share = manifest.environments == "few"
        _place(places, free, _by_mode(fits, may_share=may_share), _before(free, previous))
    order = manifest.models.index
    return {name: tuple(sorted(pins, key=order)) for name, pins in places.items() if pins}


def _place(
    places: dict[str, list[ModelPin]],
    free: Sequence[ModelPin],
    fits: Fits,
    before: Mapping[ModelPin, str],
) -> None:
    """Put every free model into a place: where it was, else where it first fits, else a new one."""
    waiting = [pin for pin in free if pin not in before]
    for name in sorted(set(before.values()), key=environment_order):
        kept = [pin for pin in free if before.get(pin) == name]
        places[name], left = _fill(name, places.get(name, []), kept, fits)
        waiting += left
    waiting.sort(key=free.index)
    for name in sorted({DEFAULT_ENVIRONMENT, *before.values()}, key=environment_order):
        places[name], waiting = _fill(name, places.get(name, []), waiting, fits)
    new = (name for name in _names() if not places.get(name))
    while waiting:
        name = next(new)
        places[name], left = _fill(name, [], waiting, fits)
        if not places[name]:
            places[name], left = waiting[:1], waiting[1:]
        waiting = left


def _fill(
    name: str, there: list[ModelPin], candidates: list[ModelPin], fits: Fits
) -> tuple[list[ModelPin], list[ModelPin]]:
    """Put candidates into a place, in order, each if it fits with those before; return the rest.

    All are tried at once, then by halves: where everything fits, that is one question.
    """
    if not candidates:
        return there, []
    together = [*there, *candidates]
    if fits(name, tuple(together)):
        return together, []
    if len(candidates) == 1:
        return there, candidates
    middle = len(candidates) // 2
    there, first = _fill(name, there, candidates[:middle], fits)
    there, second = _fill(name, there, candidates[middle:], fits)
    return there, [*first, *second]


def _by_mode(fits: Fits, *, may_share: bool) -> Fits:
    """Refuse without asking what never shares: versions of one model, and all where none may."""

    def fit(name: str, pins: tuple[ModelPin, ...]) -> bool:
        if len(pins) > 1 and not may_share:
            return False
        return len({pin.name for pin in pins}) == len(pins) and fits(name, pins)

    return fit


def _before(free: Sequence[ModelPin], previous: Lock | None) -> Mapping[ModelPin, str]:
    """Return where the previous lock has each model: this version, or else its default one."""
    if previous is None:
        return {}
    exact = {(model.name, model.version): model.environment for model in previous.models}
    default = {model.name: model.environment for model in reversed(previous.models)}
    known = {pin: exact.get((pin.name, pin.version), default.get(pin.name)) for pin in free}
    return {pin: name for pin, name in known.items() if name is not None and is_automatic(name)}


def _names() -> Iterator[str]:
    yield DEFAULT_ENVIRONMENT
    yield from (f"{DEFAULT_ENVIRONMENT}-{number}" for number in count(2))

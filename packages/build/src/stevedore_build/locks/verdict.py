"""What a lock comes to, in words: who shares an environment, who cannot and why, what changed.

`make lock` prints it, before anything is built or installed. Releases compare versions by it.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from rich.filesize import decimal

from stevedore_build.locks.environments import environment_order, is_automatic
from stevedore_build.locks.resolving import explain
from stevedore_build.wheels.building import OwnWheels
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.manifest import FRONT_ENVIRONMENT

__all__ = ["verdict", "versions_in"]


def verdict(lock: Lock, wheels: OwnWheels, *, previous: Lock | None) -> str:
    """Return the table of models by environment, the conflicts and the changes, as lines."""
    blocks = [_table(lock, wheels), _conflicts(lock, wheels), _changes(lock, previous)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def versions_in(lock: Lock | None, environment: str) -> dict[str, str]:
    """Return the distributions of an environment with their versions; none if it is not there.

    One that differs from platform to platform has several versions.
    """
    found: dict[str, list[str]] = {}
    for held in lock.environments if lock else ():
        for pin in held.pins if held.name == environment else ():
            found.setdefault(pin.name, []).append(pin.version)
    return {name: " or ".join(sorted(set(versions))) for name, versions in found.items()}


def _table(lock: Lock, wheels: OwnWheels) -> list[str]:
    """Return a line per model: its environment, its wheel's size and how much it requires."""
    rows = [("environment", "model", "wheel", "requires")]
    for name in _environments(lock):
        pinned = len(lock.environment(name).pins)
        for model in _members(lock, name):
            size = wheels.models[model.name, model.version].path.stat().st_size
            requires = f"{len(model.requires)} of {pinned} distributions"
            rows.append((name, _called(model), decimal(size), requires))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _conflicts(lock: Lock, wheels: OwnWheels) -> list[str]:
    """Say for every model outside the first environment why it is in none of those before."""
    names = [name for name in _environments(lock) if is_automatic(name)]
    asked = [
        (model, before)
        for position, name in enumerate(names)
        for model, before in product(_members(lock, name), names[:position])
    ]
    with ThreadPoolExecutor() as pool:
        reasons = list(pool.map(lambda pair: _reason(pair[0], pair[1], lock, wheels), asked))
    return [
        f"{_called(model)} is not in `{before}`:{reason}"
        for (model, before), reason in zip(asked, reasons, strict=True)
    ]


def _reason(model: LockedModel, environment: str, lock: Lock, wheels: OwnWheels) -> str:
    there = _members(lock, environment)
    for other in there:
        if other.name == model.name:
            return f" it holds {_called(other)}, and versions of a model never share one"
    own = [wheels.models[m.name, m.version] for m in (*there, model)]
    text = explain([wheels.core, *own], python=lock.python)
    if text is None:
        return " it would fit there, and stays where it was or where the manifest puts it"
    return "".join(f"\n  {line}" for line in text.splitlines())


def _changes(lock: Lock, previous: Lock | None) -> list[str]:
    if previous is None:
        return ["There was no lock to compare with."]
    lines = [
        f"  changed  {w.distribution} {w.version}" for w in lock.wheels if w not in previous.wheels
    ]
    lines += [*_changed_models(lock, previous), *_changed_pins(lock, previous)]
    return ["Changed since the previous lock:", *lines] if lines else ["Nothing changed."]


def _changed_models(lock: Lock, previous: Lock) -> Iterator[str]:
    now = {(m.name, m.version): m for m in lock.models}
    before = {(m.name, m.version): m for m in previous.models}
    for key in now.keys() - before.keys():
        yield f"  added    {_called(now[key])} in `{now[key].environment}`"
    for key in before.keys() - now.keys():
        yield f"  removed  {_called(before[key])} from `{before[key].environment}`"
    for key in sorted(now.keys() & before.keys()):
        old, new = before[key], now[key]
        if old.environment != new.environment:
            yield f"  moved    {_called(new)} from `{old.environment}` to `{new.environment}`"
        if old.sha256 != new.sha256:
            yield f"  changed  {_called(new)}: another wheel of the same version"


def _changed_pins(lock: Lock, previous: Lock) -> Iterator[str]:
    for environment in lock.environments:
        new, old = (versions_in(one, environment.name) for one in (lock, previous))
        for name in sorted(new.keys() | old.keys()):
            if new.get(name) != old.get(name):
                change = f"{old.get(name, 'none')} to {new.get(name, 'none')}"
                yield f"  changed  `{name}` in `{environment.name}`: {change}"


def _environments(lock: Lock) -> Sequence[str]:
    """Return the names of the models' environments, those given automatically first."""
    names = [e.name for e in lock.environments if e.name != FRONT_ENVIRONMENT]
    return sorted(names, key=environment_order)


def _members(lock: Lock, environment: str) -> Sequence[LockedModel]:
    return [model for model in lock.models if model.environment == environment]


def _called(model: LockedModel) -> str:
    return f"{model.name} {model.version}"

"""What moved between two locks of a composition: models, their scores, what they require.

`make diff` prints it, and a release writes it into the composition's changelog. `moves_text` has
its words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stevedore_build.locks.verdict import versions_in
from stevedore_build.releases.changelogs import Changelog, Entry
from stevedore_build.versions import numbers
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.scores import Direction, Score

__all__ = [
    "EnvironmentMove",
    "ModelMove",
    "Move",
    "Moves",
    "ScoreMove",
    "Scores",
    "Side",
    "find_moves",
]

Scores = Mapping[tuple[str, str], Sequence[Score]]
"""The scores of models, by name and version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two: a lock, what its models scored in its own layout, and their changelogs."""

    lock: Lock
    scores: Scores
    changelogs: Mapping[str, Changelog]
    """By the model's name, of those that have one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One named thing: what it was and what it is, `None` where it was or is not there.

    If both are the same, its content changed under one version.
    """

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreMove:
    """One score of a model before and after."""

    name: str
    before: float | None
    after: float | None
    direction: Direction

    @property
    def verdict(self) -> Literal["added", "removed", "same", "better", "worse"]:
        """Say what the move means to whoever relies on the score."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        if self.before == self.after:
            return "same"
        return "better" if (self.after > self.before) == (self.direction == "higher") else "worse"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelMove:
    """One model: its versions, the default first; none where it was or is not there.

    Scores and changelog entries are those of the default version. The entries are of the versions
    passed on the way, the lowest left out; of a model that was not there before there are none.
    """

    name: str
    before: tuple[LockedModel, ...]
    after: tuple[LockedModel, ...]
    scores: tuple[ScoreMove, ...]
    entries: tuple[Entry, ...]

    @property
    def goes_back(self) -> bool:
        """Whether the version is a lower one than before, and the entries hold no longer."""
        if not self.before or not self.after:
            return False
        return numbers(self.after[0].version) < numbers(self.before[0].version)

    @property
    def is_one(self) -> bool:
        """Whether anything about the model is another than before."""
        scores = any(score.verdict != "same" for score in self.scores)
        return scores or _told_apart(self.before) != _told_apart(self.after)


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentMove:
    """One environment: how many distributions it held and holds, and which of them moved."""

    name: str
    before: int | None
    after: int | None
    distributions: tuple[Move, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves:
    """All that moved. Without a `before`, all that is there."""

    composition: str
    before: str | None
    after: str
    models: tuple[ModelMove, ...]
    environments: tuple[EnvironmentMove, ...]
    platform: tuple[Move, ...]
    """Python, the base image, and our packages that every composition holds."""


def find_moves(before: Side | None, after: Side) -> Moves:
    """Return what moved."""
    old = before.lock if before else None
    changelogs = dict(after.changelogs)
    for name, changelog in before.changelogs.items() if before else ():
        # After a step back only the older state tells of the versions that were left.
        if name not in changelogs or len(changelog.entries) > len(changelogs[name].entries):
            changelogs[name] = changelog
    return Moves(
        composition=after.lock.name,
        before=old.version if old else None,
        after=after.lock.version,
        models=tuple(move for move in _models(before, after, changelogs) if move.is_one),
        environments=tuple(_environments(old, after.lock)),
        platform=tuple(_platform(old, after.lock)),
    )


def _models(
    before: Side | None, after: Side, changelogs: Mapping[str, Changelog]
) -> Iterator[ModelMove]:
    locks = [side.lock for side in (after, before) if side]
    for name in dict.fromkeys(model.name for lock in locks for model in lock.models):
        old, new = _held(before, name), _held(after, name)
        yield ModelMove(
            name=name,
            before=old,
            after=new,
            scores=tuple(_score_moves(_scores(before, old), _scores(after, new))),
            entries=_entries(changelogs.get(name), old, new),
        )


def _held(side: Side | None, name: str) -> tuple[LockedModel, ...]:
    return tuple(model for model in side.lock.models if model.name == name) if side else ()


def _scores(side: Side | None, held: tuple[LockedModel, ...]) -> Sequence[Score]:
    return side.scores.get((held[0].name, held[0].version), ()) if side and held else ()


def _score_moves(before: Sequence[Score], after: Sequence[Score]) -> Iterator[ScoreMove]:
    old = {score.name: score for score in before}
    new = {score.name: score for score in after}
    for name in new | old:
        yield ScoreMove(
            name=name,
            before=old[name].value if name in old else None,
            after=new[name].value if name in new else None,
            direction=(new.get(name) or old[name]).direction,
        )


def _entries(
    changelog: Changelog | None, before: tuple[LockedModel, ...], after: tuple[LockedModel, ...]
) -> tuple[Entry, ...]:
    if changelog is None or not before or not after:
        return ()
    low, high = sorted((before[0].version, after[0].version), key=numbers)
    return changelog.between(low, high)


def _told_apart(models: tuple[LockedModel, ...]) -> list[tuple[str, str, str]]:
    return [(model.version, model.sha256, model.environment) for model in models]


def _environments(before: Lock | None, after: Lock) -> Iterator[EnvironmentMove]:
    old = [environment.name for environment in before.environments] if before else []
    new = [environment.name for environment in after.environments]
    for name in sorted({*old, *new}):
        then, now = versions_in(before, name), versions_in(after, name)
        moved = tuple(_moved(then, now))
        if moved or (name in old) != (name in new):
            yield EnvironmentMove(
                name=name,
                before=len(then) if name in old else None,
                after=len(now) if name in new else None,
                distributions=moved,
            )


def _platform(before: Lock | None, after: Lock) -> Iterator[Move]:
    yield from _moved(_named(before), _named(after))
    old = {wheel.distribution: wheel for wheel in before.wheels} if before else {}
    for wheel in after.wheels:
        was = old.get(wheel.distribution)
        if was is None or was.sha256 != wheel.sha256:
            version = was.version if was else None
            yield Move(name=wheel.distribution, before=version, after=wheel.version)


def _named(lock: Lock | None) -> dict[str, str]:
    found = {"Python": lock.python, "base image": lock.base} if lock else {}
    return {name: value for name, value in found.items() if value is not None}


def _moved(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Move]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Move(name=name, before=before.get(name), after=after.get(name))

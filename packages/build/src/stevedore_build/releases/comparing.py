"""Two releases of a composition compared: their locks, what their models score, the changelogs.

`make diff` and releases call it. `moves` has the comparison itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.layouts.serving import fresh
from stevedore_build.releases.answers import answers_of
from stevedore_build.releases.changelogs import Changelog
from stevedore_build.releases.moves import Moves, Scores, Side, find_moves
from stevedore_build.store import Store
from stevedore_build.tags import ReleaseTag, read_tags
from stevedore_build.versions import numbers
from stevedore_build.wheels.building import stored_wheel
from stevedore_build.wheels.history import checkout_at
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = ["compare", "moves_since_release"]


def compare(name: str, old: str, new: str | None, *, workspace: Workspace) -> Moves:
    """Return what moved between two released versions of a composition.

    Without `new`, from the old one to what the workspace has locked. Scores are measured. Raises
    `WorkspaceInvalid` for a version that is not released, `LockStale` where the workspace is not
    as it is locked.
    """
    before = _released(_tag(name, old, workspace), workspace)
    if new is None:
        after = _state(fresh(name, workspace=workspace)[1], workspace)
    else:
        after = _released(_tag(name, new, workspace), workspace)
    return _moves(before, after, workspace.store)


def moves_since_release(lock: Lock, *, workspace: Workspace) -> Moves:
    """Return what moved up to a lock of the workspace since the highest release below it."""
    tags = read_tags("compositions", lock.name, root=workspace.root)
    lower = [tag for tag in tags if numbers(tag.version) < numbers(lock.version)]
    before = _released(lower[-1], workspace) if lower else None
    return _moves(before, _state(lock, workspace), workspace.store)


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    """A lock whose wheels are in the store, and the changelogs that its models had then."""

    lock: Lock
    changelogs: Mapping[str, Changelog]


def _tag(name: str, version: str, workspace: Workspace) -> ReleaseTag:
    tags = read_tags("compositions", name, root=workspace.root)
    for tag in tags:
        if tag.version == version:
            return tag
    known = ", ".join(f"`{tag.version}`" for tag in tags) or "none"
    raise WorkspaceInvalid(
        f"composition `{name}` {version} is not released: there is no tag "
        f"`compositions/{name}-v{version}`; released versions: {known}"
    )


def _released(tag: ReleaseTag, workspace: Workspace) -> _State:
    """Return a composition as the commit of its release has it.

    Our own wheels are built from there if the store has them no more. Raises `WorkspaceInvalid`
    where other wheels come of that than were released.
    """
    store = workspace.store
    with checkout_at(tag.commit, workspace=workspace) as then:
        directory = then.composition(tag.name)
        lock = Lock.read(directory)
        try:
            _find_wheels(lock, store)
        except WorkspaceInvalid:
            wheels_of(Manifest.parse(directory / "composition.toml"), workspace=then)
            _find_wheels(lock, store)
        return _state(lock, then)


def _find_wheels(lock: Lock, store: Store) -> None:
    for wheel in lock.wheels:
        stored_wheel(wheel, store=store)
    for model in lock.models:
        stored_wheel(model, store=store)


def _state(lock: Lock, checkout: Workspace) -> _State:
    changelogs = {}
    for model in lock.models:
        file = checkout.root / "models" / model.name / "CHANGELOG.md"
        if file.is_file():
            changelogs[model.name] = Changelog.read(file)
    return _State(lock=lock, changelogs=changelogs)


def _moves(before: _State | None, after: _State, store: Store) -> Moves:
    changelogs = dict(after.changelogs)
    for name, changelog in before.changelogs.items() if before else ():
        # After a step back only the older state tells of the versions that were left.
        if name not in changelogs or len(changelog.entries) > len(changelogs[name].entries):
            changelogs[name] = changelog
    return find_moves(
        Side(lock=before.lock, scores=_scores(before.lock, store)) if before else None,
        Side(lock=after.lock, scores=_scores(after.lock, store)),
        changelogs=changelogs,
    )


def _scores(lock: Lock, store: Store) -> Scores:
    """Return what the default version of each model scores; for the same pins it is kept."""
    defaults = {name: lock.model(name) for name in (model.name for model in lock.models)}
    return {
        (name, model.version): answers_of(lock, name, store=store).scores
        for name, model in defaults.items()
    }

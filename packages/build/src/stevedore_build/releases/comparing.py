"""Two releases of a composition compared: their locks, what their models score, the changelogs.

`make diff` and releases call it. `moves` has the comparison itself.
"""

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
    tag = _tag(name, old, workspace)
    if new is None:
        after = _side(fresh(name, workspace=workspace)[1], workspace, workspace.store)
    else:
        after = _released(_tag(name, new, workspace), workspace)
    return find_moves(_released(tag, workspace), after)


def moves_since_release(lock: Lock, *, workspace: Workspace) -> Moves:
    """Return what moved up to a lock of the workspace since the highest release below it."""
    tags = read_tags("compositions", lock.name, root=workspace.root)
    lower = [tag for tag in tags if numbers(tag.version) < numbers(lock.version)]
    before = _released(lower[-1], workspace) if lower else None
    return find_moves(before, _side(lock, workspace, workspace.store))


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


def _released(tag: ReleaseTag, workspace: Workspace) -> Side:
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
        return _side(lock, then, store)


def _find_wheels(lock: Lock, store: Store) -> None:
    for wheel in lock.wheels:
        stored_wheel(wheel, store=store)
    for model in lock.models:
        stored_wheel(model, store=store)


def _side(lock: Lock, checkout: Workspace, store: Store) -> Side:
    """Measure a lock whose wheels are in the store, and read what its models said then."""
    files = {m.name: checkout.root / "models" / m.name / "CHANGELOG.md" for m in lock.models}
    changelogs = {name: Changelog.read(file) for name, file in files.items() if file.is_file()}
    return Side(lock=lock, scores=_scores(lock, store), changelogs=changelogs)


def _scores(lock: Lock, store: Store) -> Scores:
    """Return what the default version of each model scores; for the same pins it is kept."""
    defaults = {name: lock.model(name) for name in (model.name for model in lock.models)}
    return {
        (name, model.version): answers_of(lock, name, store=store).scores
        for name, model in defaults.items()
    }

"""What a manifest pins → the wheels of exactly those versions.

A version is taken from the first place that has it: the workspace, the wheel store, a package index
that the manifest or `STEVEDORE_INDEX_URL` names, git history. Whatever the place, a lock says which
wheel it has to be. No other index is ever asked for a package of ours.
"""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Final

from stevedore_build.errors import ReleaseRefused, WorkspaceInvalid
from stevedore_build.tags import read_tags
from stevedore_build.wheels.building import OwnWheel, OwnWheels, build_wheels, take_wheel
from stevedore_build.wheels.history import is_shallow, wheel_from_history
from stevedore_build.wheels.index import download, wheel_pattern
from stevedore_build.wheels.own_packages import pinned_wheels
from stevedore_build.workspace import MODEL_PREFIX, Workspace, version_in
from stevedore_core.fields import normalise
from stevedore_core.manifest import Manifest, ModelPin
from stevedore_core.spelling import did_you_mean

__all__ = [
    "INDEX_VARIABLE",
    "WHEEL_STORE",
    "refuse_other_than_released",
    "shared_wheels",
    "wheels_of",
]

INDEX_VARIABLE: Final = "STEVEDORE_INDEX_URL"
"""Names a package index in place of the manifest's; may hold user and password."""

WHEEL_STORE: Final = Path("dist", "wheels")
"""Where the workspace keeps wheels that were released."""


def wheels_of(manifest: Manifest, *, workspace: Workspace) -> OwnWheels:
    """Return the wheels a manifest needs: core, api and its models.

    Raises `WorkspaceInvalid` with every pinned version that no place has.
    """
    shared = workspace.shared_packages()
    names = {pin.name for pin in manifest.models}
    packages = {p.folder: p for p in workspace.models() if p.folder in names}
    built = (*(shared or ()), *packages.values())
    here = build_wheels(built, workspace=workspace, store=workspace.store)
    core, api = (here[p.distribution] for p in shared) if shared else pinned_wheels(workspace)
    versions = {name: here[package.distribution] for name, package in packages.items()}
    models: dict[tuple[str, str], OwnWheel] = {}
    missing = []
    for pin in manifest.models:
        wheel = versions.get(pin.name)
        if wheel is None or wheel.version != pin.version:
            wheel = _wheel_elsewhere(pin, manifest, workspace)
        if wheel is None:
            missing.append(pin)
        else:
            models[pin.name, pin.version] = wheel
    if missing:
        raise WorkspaceInvalid(_nowhere(missing, manifest, workspace, versions))
    return OwnWheels(core=core, api=api, models=models)


def shared_wheels(workspace: Workspace) -> tuple[OwnWheel, OwnWheel]:
    """Return the wheels of core and api, which every manifest needs."""
    shared = workspace.shared_packages()
    if not shared:
        return pinned_wheels(workspace)
    here = build_wheels(shared, workspace=workspace, store=workspace.store)
    core, api = (here[package.distribution] for package in shared)
    return core, api


def refuse_other_than_released(wheels: OwnWheels, *, workspace: Workspace) -> None:
    """Raise `ReleaseRefused` for every model that was released with other content.

    What git's tags record counts, wherever the wheel was taken from.
    """
    released = {(tag.name, tag.version): tag for tag in read_tags("models", root=workspace.root)}
    told = []
    for (name, version), wheel in wheels.models.items():
        tag = released.get((name, version))
        if tag is None or tag.trailer("Sha256") == wheel.sha256:
            continue
        told.append(
            f"`{name}` {version} was released as another wheel: expected sha256 "
            f"`{tag.trailer('Sha256')}`, as the tag `{tag.tag}` records, found `{wheel.sha256}`; "
            + _way_out(name, version, workspace)
        )
    if told:
        raise ReleaseRefused("\n".join(told))


def _way_out(name: str, version: str, workspace: Workspace) -> str:
    """Say how the wheel of a released version becomes again what was released."""
    if version_in(workspace.root / "models" / name) == version:
        return (
            "a released version never changes: bump the version with "
            f"`make release-model NAME={name} PART=patch`, or `minor` or `major`"
        )
    return f"remove the other wheel from `{WHEEL_STORE.as_posix()}` or from the index"


def _wheel_elsewhere(pin: ModelPin, manifest: Manifest, workspace: Workspace) -> OwnWheel | None:
    distribution = MODEL_PREFIX + normalise(pin.name)
    called = re.compile(wheel_pattern(distribution, pin.version))
    for file in sorted((workspace.root / WHEEL_STORE).glob("*.whl")):
        if called.fullmatch(file.name):
            return take_wheel(file, model=pin.name, version=pin.version, store=workspace.store)
    index = os.environ.get(INDEX_VARIABLE) or manifest.index
    found = _wheel_in_index(pin, index, workspace) if index else None
    return found or wheel_from_history(pin.name, pin.version, workspace=workspace)


def _wheel_in_index(pin: ModelPin, index: str, workspace: Workspace) -> OwnWheel | None:
    """Return a wheel from an index; it is kept, as what was published never changes."""
    store = workspace.store
    distribution = MODEL_PREFIX + normalise(pin.name)
    kept = store.indexed(index) / f"{distribution}-{pin.version}.json"
    if kept.is_file():
        file = store.wheels / json.loads(kept.read_text(encoding="utf-8"))
        if file.is_file():
            return take_wheel(file, model=pin.name, version=pin.version, store=store)
    with tempfile.TemporaryDirectory() as scratch:
        downloaded = download(index, distribution, pin.version, to=Path(scratch))
        if downloaded is None:
            return None
        wheel = take_wheel(downloaded, model=pin.name, version=pin.version, store=store)
    store.write(kept, json.dumps(str(wheel.path.relative_to(store.wheels))))
    return wheel


def _nowhere(
    missing: list[ModelPin],
    manifest: Manifest,
    workspace: Workspace,
    versions: dict[str, OwnWheel],
) -> str:
    """Say which pins no place has, and what to do."""
    told = []
    for pin in missing:
        wheel = versions.get(pin.name)
        meant = did_you_mean(pin.name, [package.folder for package in workspace.models()])
        at = f"is at `{wheel.version}`" if wheel else f"is not there{meant}"
        told.append(
            f"`models.{pin.name}` is pinned to `{pin.version}`, and `models/{pin.name}` {at}"
        )
    is_named = bool(manifest.index or os.environ.get(INDEX_VARIABLE))
    advice = (
        "this clone is shallow and may lack the commit: run `git fetch --unshallow`"
        if is_shallow(workspace)
        else "change the pin in the manifest"
    )
    place = Path("compositions", manifest.name, "composition.toml")
    is_there = (workspace.root / place).is_file()
    where = place.as_posix() if is_there else f"composition `{manifest.name}`"
    return (
        f"{where}: {'; '.join(told)}; neither `{WHEEL_STORE.as_posix()}` nor "
        f"{'the index' if is_named else 'an index (none is named)'} nor git history has it; "
        f"{advice}"
    )

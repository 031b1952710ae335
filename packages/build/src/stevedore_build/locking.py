"""Manifest and workspace → lock, and whether a lock still says what they say."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from packaging.requirements import Requirement

from stevedore_build.console import step
from stevedore_build.errors import LockStale, ResolutionFailed, WorkspaceInvalid
from stevedore_build.markers import holds
from stevedore_build.platforms import PLATFORMS
from stevedore_build.resolve import closure, resolve
from stevedore_build.wheels import OwnWheel, build_wheels
from stevedore_build.workspace import MODEL_PREFIX, OWN_PREFIX, Workspace, is_own
from stevedore_core.fields import normalise
from stevedore_core.lock import Environment, Lock, LockedModel, LockedWheel
from stevedore_core.manifest import FRONT_ENVIRONMENT, Manifest, ModelPin

__all__ = ["differences", "lock_manifest", "refuse_stale", "wheels_of"]

_CORE = f"{OWN_PREFIX}core"
_API = f"{OWN_PREFIX}api"


def wheels_of(manifest: Manifest, *, workspace: Workspace) -> Mapping[str, OwnWheel]:
    """Build the wheels a manifest needs: core, api and its models, by distribution.

    Raises `WorkspaceInvalid` if the workspace has a model at another version than the pinned one.
    """
    shared = (workspace.package("core"), workspace.package("api"))
    models = tuple(workspace.model(pin.name) for pin in manifest.models)
    wheels = build_wheels((*shared, *models), workspace=workspace, store=workspace.store)
    wrong = [
        f"`models.{pin.name}` is pinned to `{pin.version}`, and `models/{pin.name}` is at `{found}`"
        for pin in manifest.models
        if (found := wheels[distribution_of(pin.name)].version) != pin.version
    ]
    if wrong:
        raise WorkspaceInvalid(
            f"composition `{manifest.name}`: {'; '.join(wrong)}; change the pin in the manifest, "
            "or check out the commit that has the pinned version"
        )
    return wheels


def distribution_of(model: str) -> str:
    """Return the name of the distribution that provides a model."""
    return MODEL_PREFIX + normalise(model)


def differences(manifest: Manifest, lock: Lock, wheels: Mapping[str, OwnWheel]) -> tuple[str, ...]:
    """Say in what the manifest and the workspace differ from the lock; empty means it is fresh.

    Only recorded digests are compared. No index is asked.
    """
    found = []
    if lock.manifest_sha256 != manifest.sha256:
        found.append("the manifest changed")
    locked = {wheel.distribution: wheel.sha256 for wheel in lock.wheels}
    locked |= {model.distribution: model.sha256 for model in lock.models}
    for distribution, wheel in wheels.items():
        if distribution not in locked:
            found.append(f"`{distribution}` is not in the lock")
        elif locked[distribution] != wheel.sha256:
            found.append(f"`{distribution}` {wheel.version} changed")
    found += [f"`{name}` is only in the lock" for name in locked if name not in wheels]
    return tuple(found)


def refuse_stale(manifest: Manifest, lock: Lock, wheels: Mapping[str, OwnWheel]) -> None:
    """Raise `LockStale` with all differences, if there are any."""
    if found := differences(manifest, lock, wheels):
        raise LockStale(
            f"the lock of `{manifest.name}` is not what would be locked now: {'; '.join(found)}; "
            f"run `make lock NAME={manifest.name}` and review what it changes"
        )


def lock_manifest(
    manifest: Manifest,
    wheels: Mapping[str, OwnWheel],
    *,
    previous: Lock | None = None,
    upgrade: bool = False,
) -> Lock:
    """Resolve every environment of a manifest.

    Pins of the `previous` lock stay where they fit; where the requirements did not change they all
    stay and no index is asked. `upgrade` takes the newest instead.
    """
    asked: dict[str, list[str]] = {FRONT_ENVIRONMENT: [_CORE, _API]}
    for pin in manifest.models:
        asked.setdefault(pin.environment, [_CORE]).append(distribution_of(pin.name))
    kept = None if upgrade else previous
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        environments = tuple(
            pool.map(
                lambda name: _environment(name, asked[name], manifest, wheels, kept), sorted(asked)
            )
        )
        by_name = {environment.name: environment for environment in environments}
        models = tuple(
            pool.map(
                lambda pin: _model(pin, manifest.python, wheels, by_name[pin.environment], kept),
                manifest.models,
            )
        )
    return Lock(
        name=manifest.name,
        version=manifest.version,
        python=manifest.python,
        manifest_sha256=manifest.sha256,
        base=manifest.base,
        environments=environments,
        wheels=tuple(
            LockedWheel(distribution=w.distribution, version=w.version, sha256=w.sha256)
            for w in (wheels[_CORE], wheels[_API])
        ),
        models=models,
    )


def _environment(
    name: str,
    distributions: Iterable[str],
    manifest: Manifest,
    wheels: Mapping[str, OwnWheel],
    previous: Lock | None,
) -> Environment:
    requirements = _requirements(distributions, wheels)
    inputs = _inputs_sha256(requirements, manifest.python)
    before = {} if previous is None else {e.name: e for e in previous.environments}
    known = before.get(name)
    if known is not None and known.inputs_sha256 == inputs:
        return known
    pins = () if known is None else known.pins
    try:
        with step(f"Resolving environment `{name}`"):
            resolved = resolve(requirements, python=manifest.python, previous=pins)
    except ResolutionFailed as error:
        members = ", ".join(f"`{pin.name}`" for pin in manifest.models if pin.environment == name)
        raise ResolutionFailed(
            f"environment `{name}` of composition `{manifest.name}` cannot hold {members} "
            f"together.\n{error}\n"
            "Give one of them an environment of its own in the manifest, such as "
            f'`{manifest.models[0].name} = {{ version = "{manifest.models[0].version}", '
            'environment = "other" }`, or change what it requires.'
            if members
            else f"environment `{name}` of composition `{manifest.name}`: {error}"
        ) from None
    return Environment(name=name, inputs_sha256=inputs, pins=resolved)


def _model(
    pin: ModelPin,
    python: str,
    wheels: Mapping[str, OwnWheel],
    environment: Environment,
    previous: Lock | None,
) -> LockedModel:
    wheel = wheels[distribution_of(pin.name)]
    requirements = _requirements([_CORE, wheel.distribution], wheels)
    inputs = _inputs_sha256(requirements, python)
    requires = None
    if previous is not None and environment in previous.environments:
        known = {(m.name, m.environment, m.inputs_sha256): m.requires for m in previous.models}
        requires = known.get((pin.name, pin.environment, inputs))
    if requires is None:
        requires = closure(requirements, environment.pins, python=python)
    return LockedModel(
        name=pin.name,
        version=pin.version,
        environment=pin.environment,
        distribution=wheel.distribution,
        sha256=wheel.sha256,
        inputs_sha256=inputs,
        requires=requires,
    )


def _requirements(distributions: Iterable[str], wheels: Mapping[str, OwnWheel]) -> tuple[str, ...]:
    """Return the third-party requirements of some of our wheels, ours followed and left out."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(distribution, "") for distribution in distributions]
    while waiting:
        distribution, extra = waiting.pop()
        if (distribution, extra) in seen:
            continue
        seen.add((distribution, extra))
        for line in wheels[distribution].requires:
            requirement = Requirement(line)
            if not _applies(requirement, extra):
                continue
            if is_own(requirement.name):
                _check_own(distribution, requirement, wheels)
                waiting += [(normalise(requirement.name), e) for e in ("", *requirement.extras)]
            elif requirement.url is not None:
                raise WorkspaceInvalid(
                    f"`{distribution}` requires `{requirement}`; a lock holds versions and hashes, "
                    "not addresses: require a released version"
                )
            else:
                found.add(_without_extra(requirement))
    return tuple(sorted(found))


def _applies(requirement: Requirement, extra: str) -> bool:
    marker = None if requirement.marker is None else str(requirement.marker)
    needs_extra = marker is not None and "extra ==" in marker
    if needs_extra != bool(extra):
        return False
    return any(holds(marker, p, "3.11.0", extra) for p in PLATFORMS) if needs_extra else True


def _without_extra(requirement: Requirement) -> str:
    if requirement.marker is not None and "extra ==" in str(requirement.marker):
        requirement.marker = None
    return str(requirement)


def _check_own(distribution: str, requirement: Requirement, wheels: Mapping[str, OwnWheel]) -> None:
    name = normalise(requirement.name)
    if name not in (_CORE, _API):
        raise WorkspaceInvalid(
            f"`{distribution}` requires `{name}`; models and packages only ever require `{_CORE}`"
        )
    if not requirement.specifier.contains(wheels[name].version, prereleases=True):
        raise WorkspaceInvalid(
            f"`{distribution}` requires `{requirement}`, and the workspace has `{name}` "
            f"{wheels[name].version}; change one of the two"
        )


def _inputs_sha256(requirements: Iterable[str], python: str) -> str:
    platforms = " ".join(platform.name for platform in PLATFORMS)
    text = "\n".join((f"python {python}", platforms, *requirements))
    return hashlib.sha256(text.encode()).hexdigest()

"""Manifest and workspace → lock, and whether a lock still says what they say."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

from stevedore_build.console import step
from stevedore_build.errors import LockStale, ReleaseRefused, ResolutionFailed, WorkspaceInvalid
from stevedore_build.locks.environments import share_out
from stevedore_build.locks.markers import ever_holds, requirement_of
from stevedore_build.locks.resolving import closure, explain, resolve
from stevedore_build.platforms import PLATFORMS
from stevedore_build.tags import find_tag
from stevedore_build.wheels.building import OwnWheel, OwnWheels
from stevedore_build.workspace import OWN_PREFIX, is_own
from stevedore_core.errors import DocumentInvalid
from stevedore_core.fields import normalise
from stevedore_core.lock import Environment, Lock, LockedModel, LockedWheel
from stevedore_core.manifest import FRONT_ENVIRONMENT, Manifest, ModelPin
from stevedore_core.spelling import did_you_mean

__all__ = [
    "differences",
    "lock_aside",
    "lock_manifest",
    "read_lock",
    "refuse_released",
    "refuse_stale",
]


def differences(manifest: Manifest, lock: Lock, wheels: OwnWheels) -> tuple[str, ...]:
    """Say in what the manifest and our wheels differ from the lock; empty means it is fresh.

    Only recorded digests are compared. No index is asked.
    """
    found = []
    if lock.manifest_sha256 != manifest.sha256:
        found.append("the manifest changed")
    locked = {(wheel.distribution, wheel.version): wheel.sha256 for wheel in lock.wheels}
    locked |= {(model.distribution, model.version): model.sha256 for model in lock.models}
    now = {(wheel.distribution, wheel.version): wheel.sha256 for wheel in wheels}
    for (distribution, version), sha256 in now.items():
        if (distribution, version) not in locked:
            found.append(f"`{distribution}` {version} is not in the lock")
        elif locked[distribution, version] != sha256:
            found.append(f"`{distribution}` {version} changed")
    found += [
        f"`{distribution}` {version} is only in the lock"
        for distribution, version in locked
        if (distribution, version) not in now
    ]
    return tuple(found)


def refuse_stale(manifest: Manifest, lock: Lock, wheels: OwnWheels) -> None:
    """Raise `LockStale` with all differences, if there are any."""
    if found := differences(manifest, lock, wheels):
        raise LockStale(
            f"the lock of `{manifest.name}` is not what would be locked now: {'; '.join(found)}; "
            f"run `make lock NAME={manifest.name}` and review what it changes"
        )


def refuse_released(lock: Lock, *, root: Path) -> None:
    """Raise `ReleaseRefused` if the version of a lock was released with another lock."""
    tag = find_tag("compositions", lock.name, lock.version, root=root)
    if tag is not None and tag.trailer("Lock") != lock.digest:
        raise ReleaseRefused(
            f"`{lock.name}` {lock.version} was released with another lock, and a released version "
            f"stays as it is: `{tag.tag}` has `{tag.trailer('Lock')}`, this is `{lock.digest}`; "
            f"run `make release NAME={lock.name} PART=patch|minor|major`, or raise `version` in "
            f"`compositions/{lock.name}/composition.toml`"
        )


def lock_manifest(
    manifest: Manifest,
    wheels: OwnWheels,
    *,
    previous: Lock | None = None,
    upgrade: bool = False,
) -> Lock:
    """Share the models out over environments, and resolve each.

    Pins of the `previous` lock stay where they fit; where the requirements did not change they all
    stay and no index is asked. `upgrade` takes the newest instead. Raises `ResolutionFailed`.
    """
    kept = None if upgrade else previous
    resolver = _Resolver(manifest=manifest, wheels=wheels, previous=kept)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        front = pool.submit(resolver.environment, FRONT_ENVIRONMENT, ())
        places = share_out(manifest, resolver.fits, previous=previous)
        environments = [
            *pool.map(lambda name: resolver.environment(name, places[name]), sorted(places)),
            front.result(),
        ]
        where = {pin: e for e in environments for pin in places.get(e.name, ())}
        models = tuple(
            pool.map(lambda pin: _model(pin, manifest, wheels, where[pin], kept), manifest.models)
        )
    return Lock(
        name=manifest.name,
        version=manifest.version,
        python=manifest.python,
        manifest_sha256=manifest.sha256,
        base=manifest.base,
        environments=tuple(sorted(environments, key=lambda environment: environment.name)),
        wheels=tuple(
            LockedWheel(distribution=w.distribution, version=w.version, sha256=w.sha256)
            for w in (wheels.core, wheels.api)
        ),
        models=models,
    )


def lock_aside(
    manifest: Manifest, wheels: OwnWheels, *, kept: Path, previous: Lock | None = None
) -> Lock:
    """Lock into a directory of the store, where nobody reviews it.

    Pins come from the `previous` lock, or else from what was `kept` the last time.
    """
    lock = lock_manifest(manifest, wheels, previous=previous or read_lock(kept))
    lock.write(kept)
    return lock


def read_lock(directory: Path) -> Lock | None:
    """Return the lock in a directory, `None` where there is none that can be read."""
    with suppress(DocumentInvalid):
        return Lock.read(directory)
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Resolver:
    """Resolves environments of one manifest, each choice of models once."""

    manifest: Manifest
    wheels: OwnWheels
    previous: Lock | None
    found: dict[tuple[str, tuple[ModelPin, ...]], Environment | None] = field(default_factory=dict)

    def fits(self, name: str, pins: tuple[ModelPin, ...]) -> bool:
        """Tell whether an environment can hold some models together."""
        if (name, pins) not in self.found:
            try:
                self.found[name, pins] = self._resolved(name, pins)
            except ResolutionFailed:
                self.found[name, pins] = None
        return self.found[name, pins] is not None

    def environment(self, name: str, pins: tuple[ModelPin, ...]) -> Environment:
        """Return an environment with everything in it pinned. Raises `ResolutionFailed`."""
        known = self.found.get((name, pins))
        if known is not None:
            return known
        composition = self.manifest.name
        try:
            return self._resolved(name, pins)
        except ResolutionFailed as error:
            if not pins:
                message = f"environment `{name}` of composition `{composition}`: {error}"
                raise ResolutionFailed(message) from None
            members = ", ".join(f"`{pin.name}`" for pin in pins)
            reason = explain([self.wheels.core, *self._models(pins)], python=self.manifest.python)
            if told := self._nowhere(pins, reason or str(error)):
                raise ResolutionFailed(told) from None
            raise ResolutionFailed(
                f"environment `{name}` of composition `{composition}` cannot hold {members} "
                f"together.\n{reason or error}\n"
                "Give one of them an environment of its own in the manifest, such as "
                f'`{pins[0].name} = {{ version = "{pins[0].version}", '
                'environment = "other" }`, or change what it requires.'
            ) from None

    def _resolved(self, name: str, pins: tuple[ModelPin, ...]) -> Environment:
        python = self.manifest.python
        own = self._models(pins) if pins else (self.wheels.api,)
        requirements = _requirements((self.wheels.core, *own), self.wheels, python)
        inputs = _inputs_sha256(requirements, python)
        before = {} if self.previous is None else {e.name: e for e in self.previous.environments}
        known = before.get(name)
        if known is not None and known.inputs_sha256 == inputs:
            return known
        preferred = () if known is None else known.pins
        with step(f"Resolving environment `{name}`"):
            resolved = resolve(requirements, python=python, previous=preferred)
        return Environment(name=name, inputs_sha256=inputs, pins=resolved)

    def _nowhere(self, pins: tuple[ModelPin, ...], reason: str) -> str:
        """Say which requirement of a model no index fulfils; nothing if that is not the reason."""
        known = {
            p.name for e in (self.previous.environments if self.previous else ()) for p in e.pins
        }
        known |= {requirement_of(line).name for wheel in self.wheels for line in wheel.requires}
        told = []
        for pin in pins:
            for line in self.wheels.models[pin.name, pin.version].requires:
                name = requirement_of(line).name
                absent = re.escape(name)
                if re.search(rf"\b{absent} was not found|no version of {absent}\b", reason):
                    meant = did_you_mean(name, known - {name})
                    told.append(
                        f"`{pin.name}` {pin.version}: `project.dependencies` in "
                        f"`models/{pin.name}/pyproject.toml` asks for `{line}`, expected a version "
                        f"that some index has{meant}"
                    )
        return "\n".join([*told, reason] if told else [])

    def _models(self, pins: tuple[ModelPin, ...]) -> tuple[OwnWheel, ...]:
        return tuple(self.wheels.models[pin.name, pin.version] for pin in pins)


def _model(
    pin: ModelPin,
    manifest: Manifest,
    wheels: OwnWheels,
    environment: Environment,
    previous: Lock | None,
) -> LockedModel:
    wheel = wheels.models[pin.name, pin.version]
    requirements = _requirements((wheels.core, wheel), wheels, manifest.python)
    inputs = _inputs_sha256(requirements, manifest.python)
    requires = None
    if previous is not None and environment in previous.environments:
        known = {(m.environment, m.inputs_sha256): m.requires for m in previous.models}
        requires = known.get((environment.name, inputs))
    if requires is None:
        requires = closure(requirements, environment.pins, python=manifest.python)
    return LockedModel(
        name=pin.name,
        version=pin.version,
        environment=environment.name,
        distribution=wheel.distribution,
        sha256=wheel.sha256,
        inputs_sha256=inputs,
        requires=requires,
    )


def _requirements(asked: Iterable[OwnWheel], wheels: OwnWheels, python: str) -> tuple[str, ...]:
    """Return the third-party requirements of some of our wheels, ours followed and left out."""
    shared = {wheel.distribution: wheel for wheel in (wheels.core, wheels.api)}
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(wheel, "") for wheel in asked]
    while waiting:
        wheel, extra = waiting.pop()
        if (wheel.distribution, extra) in seen:
            continue
        seen.add((wheel.distribution, extra))
        for line in wheel.requires:
            requirement = requirement_of(line)
            if not _applies(requirement, extra, python):
                continue
            if is_own(requirement.name):
                other = _shared(wheel.distribution, requirement, shared)
                waiting += [(other, e) for e in ("", *requirement.extras)]
            elif requirement.url is not None:
                raise WorkspaceInvalid(
                    f"`{wheel.distribution}` requires `{requirement}`; a lock holds versions and "
                    "hashes, not addresses: require a released version"
                )
            else:
                if extra:  # asked for already
                    requirement.marker = None
                found.add(str(requirement))
    return tuple(sorted(found))


def _applies(requirement: Requirement, extra: str, python: str) -> bool:
    marker = str(requirement.marker or "")
    if ("extra ==" in marker) != bool(extra):
        return False
    return not extra or ever_holds(marker, python, extra)


def _shared(
    distribution: str, requirement: Requirement, shared: Mapping[str, OwnWheel]
) -> OwnWheel:
    """Return the wheel of core or api that one of ours requires, if it may and fits."""
    wheel = shared.get(normalise(requirement.name))
    if wheel is None:
        raise WorkspaceInvalid(
            f"`{distribution}` requires `{normalise(requirement.name)}`; models and packages only "
            f"ever require `{OWN_PREFIX}core`"
        )
    if not requirement.specifier.contains(wheel.version, prereleases=True):
        raise WorkspaceInvalid(
            f"`{distribution}` requires `{requirement}`, and the workspace has "
            f"`{wheel.distribution}` {wheel.version}; change one of the two"
        )
    return wheel


def _inputs_sha256(requirements: Iterable[str], python: str) -> str:
    platforms = " ".join(platform.name for platform in PLATFORMS)
    text = "\n".join((f"python {python}", platforms, *requirements))
    return hashlib.sha256(text.encode()).hexdigest()

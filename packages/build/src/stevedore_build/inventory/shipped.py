"""Every distribution that a layout holds, with what its metadata says, and who requires whom.

`sbom`, `licences` and `provenance` tell of them. Found by walking the layers, not by reading the
lock: what is there is listed, wherever it came from.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_version as _plain

from stevedore_build.errors import LayerRefused
from stevedore_build.locks.markers import holds
from stevedore_build.platforms import Platform
from stevedore_build.workspace import OWN_PREFIX
from stevedore_core.fields import normalise
from stevedore_core.lock import Lock
from stevedore_core.manifest import FRONT_ENVIRONMENT

__all__ = ["Shipped", "requirements_among", "shipped_in"]

_CORE = "own/core"
_API = "own/api"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """One distribution in a layout.

    `place` is the directory of the layout it was installed into, `path` that of its `.dist-info`;
    one that another distribution carries within itself lies deeper. `sha256s` are the wheels it
    may have come from, by the lock; none for one that was carried.
    """

    name: str
    version: str
    place: str
    path: str
    sha256s: tuple[str, ...]
    info: Path
    """Its `.dist-info` on this machine."""
    metadata: Message

    @property
    def is_carried(self) -> bool:
        """Say whether it lies within another distribution."""
        return str(PurePosixPath(self.path).parent) != self.place

    @property
    def is_own(self) -> bool:
        """Say whether it is a package of ours: no public index knows it."""
        return not self.place.startswith("environments/")

    @property
    def package_url(self) -> PackageURL:
        """Its purl. A package of ours is none of the public index."""
        if not self.is_own:
            return PackageURL(type="pypi", name=self.name, version=self.version)
        checksum = ",".join(f"sha256:{sha256}" for sha256 in self.sha256s)
        qualifiers = {"checksum": checksum}
        return PackageURL(
            type="generic", name=self.name, version=self.version, qualifiers=qualifiers
        )


def shipped_in(layers: Iterable[tuple[str, Path]], lock: Lock) -> tuple[Shipped, ...]:
    """Return every distribution in the layers of a lock, in the order of the layers.

    A layer is given by its name and its directory. Raises `LayerRefused` for a distribution that
    is not in the lock.
    """
    sha256s = _locked(lock)
    return tuple(
        _shipped(info, info.relative_to(directory), layer, sha256s)
        for layer, directory in layers
        for info in sorted(directory.rglob("*.dist-info"))
        if (info / "METADATA").is_file()
    )


def requirements_among(
    shipped: Sequence[Shipped], lock: Lock, *, platform: Platform, python: str
) -> Mapping[str, AbstractSet[str]]:
    """Return for the path of every distribution the paths of those it requires.

    Only what one process sees counts: the front its environment and ours, a worker its
    environment, core and its models. `python` is a full version.
    """
    found: dict[str, set[str]] = {entry.path: set() for entry in shipped}
    for roots, environment in _processes(lock):
        seen = [s for s in shipped if s.place in {*roots, environment} and not s.is_carried]
        members = {entry.name: entry for entry in seen}
        first = [entry.name for entry in seen if entry.place in roots]
        for one, other in _edges(members, first, platform, python):
            found[one].add(other)
    return found


def _processes(lock: Lock) -> Iterator[tuple[AbstractSet[str], str]]:
    """Yield what a process starts from, and the environment it has."""
    for environment in lock.environments:
        if environment.name == FRONT_ENVIRONMENT:
            roots = {_CORE, _API}
        else:
            held = (m for m in lock.models if m.environment == environment.name)
            roots = {_CORE, *(f"models/{model.name}/{model.version}" for model in held)}
        yield roots, f"environments/{environment.name}"


def _edges(
    members: Mapping[str, Shipped], first: Iterable[str], platform: Platform, python: str
) -> Iterator[tuple[str, str]]:
    """Follow requirements, and the extras that they ask for, from the first distributions."""
    waiting = [(name, "") for name in first]
    done = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        for text in members[name].metadata.get_all("Requires-Dist") or ():
            requirement = Requirement(text)
            target = members.get(normalise(requirement.name))
            marker = str(requirement.marker) if requirement.marker else None
            if target and holds(marker, platform, python, extra):
                yield members[name].path, target.path
                waiting += [(target.name, wanted) for wanted in ("", *requirement.extras)]


def _shipped(
    info: Path, inside: Path, layer: str, sha256s: Mapping[tuple[str, str, str], tuple[str, ...]]
) -> Shipped:
    metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
    name, version = normalise(metadata["Name"]), str(metadata["Version"])
    path = PurePosixPath(layer, inside.as_posix())
    place = "/".join(path.parts[:2]) if layer == "own" else layer
    is_carried = str(path.parent) != place
    key = (place, name, _plain(version))
    if not is_carried and key not in sha256s:
        raise LayerRefused(f"layer `{layer}` holds `{name}` {version}, which is not in the lock")
    return Shipped(
        name=name,
        version=version,
        place=place,
        path=str(path),
        sha256s=() if is_carried else sha256s[key],
        info=info,
        metadata=metadata,
    )


def _locked(lock: Lock) -> Mapping[tuple[str, str, str], tuple[str, ...]]:
    """Return the sha256s that a lock allows, by place, name and version."""
    found = {
        (f"environments/{environment.name}", pin.name, _plain(pin.version)): pin.sha256s
        for environment in lock.environments
        for pin in environment.pins
    }
    for wheel in lock.wheels:
        place = f"own/{wheel.distribution.removeprefix(OWN_PREFIX)}"
        found[place, wheel.distribution, _plain(wheel.version)] = (wheel.sha256,)
    for model in lock.models:
        place = f"models/{model.name}/{model.version}"
        found[place, model.distribution, _plain(model.version)] = (model.sha256,)
    return found

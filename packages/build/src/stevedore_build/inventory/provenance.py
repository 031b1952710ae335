"""Where an image comes from: an in-toto statement with SLSA's provenance, as JSON.

`images.documents` puts it beside a release. It names what went in by digest, and no machine,
person, path or time: for the same image it is the same statement.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stevedore_build.inventory.shipped import Shipped
from stevedore_build.platforms import Platform
from stevedore_build.weights.fetched import ModelWeights
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.lock import Lock
from stevedore_core.strict_json import Json

__all__ = ["BUILD_TYPE", "BuiltImage", "Commit", "provenance_of"]

BUILD_TYPE: Final = "urn:ml-py-stevedore:image:v1"
"""What `docs/guides/supply-chain.md` describes: how an image follows from a lock and a base."""

_BUILDER: Final = "urn:ml-py-stevedore:builder:local"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PREDICATE: Final = "https://slsa.dev/provenance/v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltImage:
    """One engine's image of a composition: its id, its layers' digests by name, and its base.

    `content` is the digest of all that it was built from, as its label says.
    """

    engine: str
    reference: str
    identity: str
    layers: tuple[tuple[str, str], ...]
    base: str
    base_identity: str
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """The commit that was checked out, and whether tracked files differed from it."""

    identity: str
    has_changes: bool


def provenance_of(  # noqa: PLR0913 - each is a part of the statement
    lock: Lock,
    shipped: Iterable[Shipped],
    images: Sequence[BuiltImage],
    weights: Iterable[ModelWeights] = (),
    *,
    platform: Platform,
    commit: Commit | None,
) -> str:
    """Return the statement about the images that some engines have of one lock."""
    dependencies: list[Json] = [_descriptor(name, sha256) for name, sha256 in _lock_files(lock)]
    dependencies += [_wheel(entry) for entry in shipped if not entry.is_carried]
    fetched = {f"{one.place}/{file.name}": file for one in weights for file in one.files}
    dependencies += [_weights(name, file) for name, file in fetched.items()]
    dependencies += [_base(image) for image in images]
    if commit:
        dependencies.append(_commit(commit))
    statement: Json = {
        "_type": _STATEMENT,
        "subject": [subject for image in images for subject in _subjects(image)],
        "predicateType": _PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "composition": lock.name,
                    "version": lock.version,
                    "platform": platform.name,
                    "engines": [image.engine for image in images],
                },
                "internalParameters": {"lock": f"sha256:{lock.digest}", "python": lock.python},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": _BUILDER},
                "metadata": {"invocationId": " ".join(image.content for image in images)},
            },
        },
    }
    return json.dumps(statement, indent=1, sort_keys=True) + "\n"


def _subjects(image: BuiltImage) -> Iterator[Json]:
    yield _descriptor(f"{image.engine}/{image.reference}", image.identity)
    for name, digest in image.layers:
        yield _descriptor(f"{image.engine}/{image.reference}/{name}", digest)


def _descriptor(name: str, digest: str) -> dict[str, Json]:
    return {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}


def _lock_files(lock: Lock) -> Iterator[tuple[str, str]]:
    yield "composition.toml", lock.manifest_sha256
    yield "lock.toml", lock.digest
    for environment in lock.environments:
        yield f"lock/{environment.name}.txt", environment.sha256


def _wheel(shipped: Shipped) -> Json:
    """Describe a wheel. The lock may allow several files; which one it was, no installer tells."""
    described: dict[str, Json] = {
        "name": f"{shipped.place}/{shipped.name}",
        "uri": str(shipped.package_url),
    }
    if len(shipped.sha256s) == 1:
        return {**described, "digest": {"sha256": shipped.sha256s[0]}}
    return {**described, "annotations": {"oneOfSha256": list(shipped.sha256s)}}


def _weights(name: str, file: FetchedFile) -> Json:
    described = _descriptor(name, file.sha256)
    return {**described, "uri": file.url} if file.url else described


def _base(image: BuiltImage) -> Json:
    described = _descriptor(image.base, image.base_identity)
    return {**described, "annotations": {"engine": image.engine}}


def _commit(commit: Commit) -> Json:
    described: dict[str, Json] = {"name": "source", "digest": {"gitCommit": commit.identity}}
    if commit.has_changes:
        described["annotations"] = {"uncommittedChanges": True}
    return described

"""The bill of materials of a composition: CycloneDX 1.6, the same bytes for the same layers.

`layouts.layers` writes it into the last layer of a layout, `images.documents` puts it
beside a release.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6

from stevedore_build.inventory.licences import licence_of
from stevedore_build.inventory.shipped import Shipped, requirements_among
from stevedore_build.platforms import Platform
from stevedore_build.weights.fetched import ModelWeights
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.layout import IMAGE_ROOT
from stevedore_core.lock import Lock

__all__ = ["sbom_of"]

_PLATFORM: Final = "ml-py-stevedore:platform"
_LOCK: Final = "ml-py-stevedore:lock"
_PLACE: Final = "ml-py-stevedore:place"


def sbom_of(
    lock: Lock,
    shipped: Sequence[Shipped],
    weights: Sequence[ModelWeights] = (),
    *,
    platform: Platform,
    python: str,
) -> str:
    """Return the bill of materials of what the layers of a lock hold, as JSON.

    It tells no time: that would be another one for every build. `python` is a full version.
    """
    root = Component(
        type=ComponentType.APPLICATION,
        name=lock.name,
        version=lock.version,
        bom_ref="composition",
        properties=[
            Property(name=_LOCK, value=f"sha256:{lock.digest}"),
            Property(name=_PLATFORM, value=platform.name),
        ],
    )
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, f"{lock.digest} {platform.name}"))
    bom.metadata.component = root
    components = {entry.path: _component(entry) for entry in shipped}
    bom.components.update(components.values())
    own = [components[entry.path] for entry in shipped if entry.is_own]
    bom.register_dependency(root, own)
    edges = requirements_among(shipped, lock, platform=platform, python=python)
    for path, targets in edges.items():
        bom.register_dependency(components[path], [components[target] for target in targets])
    owners = {entry.place: components[entry.path] for entry in shipped if not entry.is_carried}
    _add_weights(bom, owners, weights)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _add_weights(
    bom: Bom, owners: Mapping[str, Component], weights: Sequence[ModelWeights]
) -> None:
    """Add the files that were fetched, once each; the models that need them depend on them."""
    added: dict[str, Component] = {}
    for one in weights:
        owner = owners[f"models/{one.model.name}/{one.model.version}"]
        for file in one.files:
            path = f"{one.place}/{file.name}"
            added.setdefault(path, _weights(file, one.place))
            bom.register_dependency(owner, [added[path]])
    bom.components.update(added.values())


def _weights(file: FetchedFile, place: str) -> Component:
    path = f"{place}/{file.name}"
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=file.name,
        bom_ref=path,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(file.url))
        ]
        if file.url
        else [],
        properties=[Property(name=_PLACE, value=place)],
        evidence=ComponentEvidence(
            occurrences=[Occurrence(location=str(PurePosixPath(IMAGE_ROOT, path)))]
        ),
    )


def _component(shipped: Shipped) -> Component:
    return Component(
        name=shipped.name,
        version=shipped.version,
        bom_ref=shipped.path.removesuffix(".dist-info"),
        purl=shipped.package_url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in shipped.sha256s],
        licenses=_licences(shipped),
        properties=[Property(name=_PLACE, value=shipped.place)],
        evidence=ComponentEvidence(
            occurrences=[Occurrence(location=str(PurePosixPath(IMAGE_ROOT, shipped.path)))]
        ),
    )


def _licences(shipped: Shipped) -> list[License]:
    licence, make = licence_of(shipped), LicenseFactory()
    if licence.expression:
        return [make.make_from_string(licence.expression)]
    return [make.make_with_name(name) for name in licence.names]

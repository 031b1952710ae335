"""An image says what is inside, and follows from the lock and the layers alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from stevedore_build.errors import ContainerfileRefused
from stevedore_build.images.building import (
    CONTENT_LABEL,
    containerfile_of,
    image_name,
    write_context,
)
from stevedore_build.images.containerfile import Containerfile
from stevedore_build.images.engines import COLIMA, DOCKER, PODMAN
from stevedore_build.images.tars import tar_name
from stevedore_build.layouts.layers import Layer
from stevedore_build.store import Store
from stevedore_core.lock import Lock, LockedModel

BASE = "sha256:" + "b" * 64

LOCK = Lock(
    name="bundle",
    version="1.2.0",
    python="3.11",
    manifest_sha256="0" * 64,
    base=None,
    environments=(),
    wheels=(),
    models=tuple(
        LockedModel(
            name=name,
            version=version,
            environment="default",
            distribution=f"stevedore-model-{name}",
            sha256="0" * 64,
            inputs_sha256="0" * 64,
            requires=(),
        )
        for name, version in (("iris", "1.0.0"), ("digits", "2.1.0"))
    ),
)


@pytest.fixture
def layers(tmp_path: Path) -> list[Layer]:
    """Two small layers."""
    made = []
    for name in ("own", "composition"):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "file.txt").write_text(name)
        made.append(Layer(name=name, digest=name, directory=directory))
    return made


def written(lock: Lock, layers: list[Layer], base: str = BASE) -> Containerfile:
    """Return the Containerfile on a base that people call `slim:1`."""
    return containerfile_of(lock, base=base, base_name="slim:1", layers=layers)


def test_containerfile(layers: list[Layer]) -> None:
    """The whole of it, but for the digest of itself."""
    found = written(LOCK, layers)
    content = dict(found.labels)[CONTENT_LABEL]
    assert found == Containerfile(
        base=BASE,
        tars=(tar_name(layers[0]), tar_name(layers[1])),
        environment=(
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
            (
                "PYTHONPATH",
                "/opt/stevedore/own/api:/opt/stevedore/own/core:/opt/stevedore/environments/front",
            ),
            ("PYTHONSAFEPATH", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONUNBUFFERED", "1"),
            ("STEVEDORE_LAYOUT", "/opt/stevedore"),
            ("STEVEDORE_HOST", "0.0.0.0"),  # noqa: S104 - a container's own network
            ("STEVEDORE_PORT", "8000"),
        ),
        labels=(
            ("org.opencontainers.image.title", "bundle"),
            ("org.opencontainers.image.version", "1.2.0"),
            ("org.opencontainers.image.base.name", "slim:1"),
            ("org.opencontainers.image.base.digest", BASE),
            ("ml-py-stevedore.lock", f"sha256:{LOCK.digest}"),
            ("ml-py-stevedore.models", "iris=1.0.0,digits=2.1.0"),
            ("ml-py-stevedore.python", "3.11"),
            ("ml-py-stevedore.sbom", "/opt/stevedore/composition/sbom.cdx.json"),
            (CONTENT_LABEL, content),
        ),
        user="65532:65532",
        port=8000,
        probe=("python3.11", "-S", "-m", "stevedore_api.probe"),
        command=("python3.11", "-S", "-m", "stevedore_api"),
    )


def test_content_label(layers: list[Layer]) -> None:
    """It is the same for the same image, and another for any other base, lock or layer."""
    changed = [layers[0], replace(layers[1], digest="changed")]
    found = [
        written(LOCK, layers),
        written(LOCK, layers),
        written(LOCK, layers, base="sha256:" + "c" * 64),
        written(replace(LOCK, manifest_sha256="1" * 64), layers),
        written(LOCK, changed),
    ]
    contents = [dict(containerfile.labels)[CONTENT_LABEL] for containerfile in found]
    assert contents[0] == contents[1]
    assert len(set(contents)) == 4


def test_name() -> None:
    """Podman puts local images under `localhost/`, docker does not."""
    names = [image_name(LOCK, engine) for engine in (PODMAN, DOCKER, COLIMA)]
    assert names == ["localhost/bundle:1.2.0", "bundle:1.2.0", "bundle:1.2.0"]


def test_lock_with_a_hostile_name(layers: list[Layer]) -> None:
    """Even a lock that got past its own grammar cannot add an instruction."""
    with pytest.raises(ContainerfileRefused, match=r"`labels, value`, item 1: 'x\\nRUN y'"):
        written(replace(LOCK, name="x\nRUN y"), layers)


def test_context(layers: list[Layer], tmp_path: Path) -> None:
    """A context holds the Containerfile and one tar per layer, which takes no room twice."""
    store = Store(root=tmp_path / "store")
    containerfile = written(LOCK, layers)
    context = write_context(containerfile, layers, store)
    names = [tar_name(layer) for layer in layers]
    assert sorted(path.name for path in context.iterdir()) == sorted(["Containerfile", *names])
    assert (context / "Containerfile").read_text() == containerfile.text()
    assert all((context / name).samefile(store.tars / name) for name in names)
    assert write_context(containerfile, layers, store) == context

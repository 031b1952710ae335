"""The same layers give the same image, and only what changed changes."""

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from stevedore_build.errors import EngineFailed
from stevedore_build.images.bases import Base
from stevedore_build.images.building import build_image, image_name
from stevedore_build.images.engines import Engine
from stevedore_build.images.tars import read_tar, tar_layer
from stevedore_build.layouts.layers import Layer
from stevedore_build.store import Store
from stevedore_core.lock import Lock, LockedModel

MakeImage = Callable[[dict[str, bytes]], str]
MakeLayer = Callable[..., Layer]


@pytest.fixture
def base(engine: Engine, make_image: MakeImage) -> Base:
    """A base that nothing can run on: building needs no more."""
    name = make_image({"etc/os-release": b"ID=nothing\n"})
    return Base(reference="localhost/nothing:1", image=engine.find_image(name) or "", libraries=())


@pytest.fixture
def lock(engine: Engine, tmp_path: Path) -> Iterator[Lock]:
    """A lock under a name of its own, whose image is gone after the test."""
    model = LockedModel(
        name="iris",
        version="1.2.3",
        environment="default",
        distribution="stevedore-model-iris",
        sha256="0" * 64,
        inputs_sha256="0" * 64,
        requires=(),
    )
    lock = Lock(
        name=f"test-{tmp_path.name.replace('_', '-').lower()}"[:60].rstrip("-"),
        version="1.0.0",
        python="3.11",
        manifest_sha256="0" * 64,
        base=None,
        environments=(),
        wheels=(),
        models=(model,),
    )
    yield lock
    if engine.find_image(image_name(lock, engine)):
        engine.run("rmi", "--force", image_name(lock, engine))


def layers(make_layer: MakeLayer, *, weights: str = "weights", at: str = "layers") -> list[Layer]:
    """Make the layers of a small composition in a directory of their own."""
    return [
        make_layer("/opt/stevedore/environments/default", "scikit", at=at),
        make_layer("/opt/stevedore/own", "core and api", at=at),
        make_layer("/opt/stevedore/models/iris", weights, at=at),
        make_layer("/opt/stevedore/models/digits", "other weights", at=at),
        make_layer("/opt/stevedore/composition", f"lock of {weights}", at=at),
    ]


def layer_ids(engine: Engine, image: str) -> list[str]:
    """Return the digests of an image's layers, the base's first."""
    printed = engine.run("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)
    found: list[str] = json.loads(printed)
    return found


def test_same_image_from_another_directory(
    engine: Engine, base: Base, lock: Lock, make_layer: MakeLayer, tmp_path: Path
) -> None:
    """Two directories give equal layers, with podman equal ids, with nothing left to reuse."""
    images, found = [], []
    for at in ("here", "there"):
        store = Store(root=tmp_path / f"store-{at}")
        made = layers(make_layer, at=at)
        image = build_image(lock, engine=engine, base=base, layers=made, store=store)
        images.append(image.identity)
        found.append(layer_ids(engine, image.identity))
        engine.run("rmi", "--force", image.reference)
    assert found[0] == found[1]
    if engine.loads_directories:
        assert images[0] == images[1]


def test_changed_tar_is_not_loaded(
    engine: Engine, base: Base, lock: Lock, make_layer: MakeLayer, store: Store
) -> None:
    """A tar that is not what its digest says is refused, and there is no image."""
    if not engine.loads_directories:
        pytest.skip(f"{engine.name} is not told the digests of tars")
    made = layers(make_layer, weights=f"weights {uuid.uuid4()}")
    changed = tar_layer(made[2], store)
    read_tar(made[2], store)
    changed.write_bytes(changed.read_bytes().replace(b"weights", b"changed"))
    with pytest.raises(EngineFailed, match="Digest did not match"):
        build_image(lock, engine=engine, base=base, layers=made, store=store)
    assert engine.find_image(image_name(lock, engine)) is None


def test_changed_weights_change_two_layers(
    engine: Engine, base: Base, lock: Lock, make_layer: MakeLayer, store: Store
) -> None:
    """The model's layer and the small last one differ, nothing else."""
    first = build_image(lock, engine=engine, base=base, layers=layers(make_layer), store=store)
    changed = layers(make_layer, weights="new weights", at="changed")
    second = build_image(lock, engine=engine, base=base, layers=changed, store=store)
    pairs = zip(layer_ids(engine, first.identity), layer_ids(engine, second.identity), strict=True)
    assert [one == other for one, other in pairs] == [True, True, True, False, True, False]
    assert engine.find_image(first.reference) == second.identity


def test_nothing_is_built_twice(
    engine: Engine, base: Base, lock: Lock, make_layer: MakeLayer, store: Store
) -> None:
    """Unchanged content keeps the image; a deleted image is built again, and is the same layers."""
    made = layers(make_layer)
    first = build_image(lock, engine=engine, base=base, layers=made, store=store)
    again = build_image(lock, engine=engine, base=base, layers=made, store=store)
    before = layer_ids(engine, first.identity)
    engine.run("rmi", "--force", first.reference)
    anew = build_image(lock, engine=engine, base=base, layers=made, store=store)
    assert [image.built for image in (first, again, anew)] == [True, False, True]
    assert again == replace(first, built=False)
    assert layer_ids(engine, anew.identity) == before


def test_changed_lock_is_built(
    engine: Engine, base: Base, lock: Lock, make_layer: MakeLayer, store: Store
) -> None:
    """What stands in the labels only counts as content too."""
    made = layers(make_layer)
    build_image(lock, engine=engine, base=base, layers=made, store=store)
    other = replace(lock, manifest_sha256="1" * 64)
    image = build_image(other, engine=engine, base=base, layers=made, store=store)
    assert image.built
    assert engine.labels(image.reference)["ml-py-stevedore.lock"] == f"sha256:{other.digest}"


def test_sizes(engine: Engine, base: Base, lock: Lock, make_layer: MakeLayer, store: Store) -> None:
    """Each layer's size is told by its name, the base's first."""
    image = build_image(lock, engine=engine, base=base, layers=layers(make_layer), store=store)
    assert [name for name, _ in image.layer_bytes] == [
        *("base", "environments/default", "own"),
        *("models/iris", "models/digits", "composition"),
    ]
    assert all(size > 0 for _, size in image.layer_bytes)


@pytest.fixture
def large_image(base: Base, lock: Lock, make_layer: MakeLayer, store: Store) -> dict[str, Any]:
    """The parts of an image, ready as tars, that take an engine about a second or two."""
    made = layers(make_layer)
    made[0].directory.joinpath("large").write_bytes(os.urandom(100_000_000))
    for layer in made:
        read_tar(layer, store)
    return {"lock": lock, "base": base, "layers": made, "store": store}


def build_apart(*, begins: Event, **parts: Any) -> None:
    """Build in a process group of its own, as in a terminal."""
    os.setpgrp()
    begins.set()
    build_image(**parts)


def containers(engine: Engine, base: Base) -> set[str]:
    """Return the containers there are: podman's working containers too, but only on this base."""
    if engine.name == "podman":
        printed = engine.run("ps", "--all", "--external", "--format", "{{.ID}} {{.ImageID}}")
        on_base = base.image.removeprefix("sha256:")[:12]
        return {line.split()[0] for line in printed.splitlines() if on_base in line}
    return set(engine.run("ps", "--all", "--quiet").split())


@pytest.mark.parametrize("after_s", [0.2, 0.5, 0.8])
def test_interrupted_build_leaves_nothing(
    engine: Engine, base: Base, lock: Lock, large_image: dict[str, Any], after_s: float
) -> None:
    """After Ctrl-C there is neither a name nor a container."""
    reference = image_name(lock, engine)
    before = containers(engine, base)
    apart = get_context("fork")
    begins = apart.Event()
    builder = apart.Process(
        target=build_apart, kwargs={"begins": begins, "engine": engine, **large_image}
    )
    builder.start()
    assert begins.wait(timeout=60)
    time.sleep(after_s)
    os.killpg(builder.pid or 0, signal.SIGINT)
    builder.join(timeout=60)
    assert builder.exitcode not in (0, None)
    assert engine.find_image(reference) is None
    assert containers(engine, base) - before == set()
    assert list(large_image["store"].drafts.glob("*")) == []

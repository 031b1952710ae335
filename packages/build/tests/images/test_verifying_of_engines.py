"""What an engine built is what its lock gives, and one more layer on it is not."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import BaseUnusable, ImageUnreadable
from stevedore_build.images.bases import Base
from stevedore_build.images.building import build_image
from stevedore_build.images.engines import Engine
from stevedore_build.images.verifying import base_image, verify_image
from stevedore_build.layouts.layers import layers_of
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest
from stevedore_core.weights import record_weights

MakeImage = Callable[[dict[str, bytes]], str]


@pytest.fixture
def base(make_image: MakeImage) -> str:
    """The name of a base that nothing can run on."""
    return make_image({"etc/os-release": b"ID=nothing\n"})


@pytest.fixture
def lock(workspace: Workspace, index: Path, base: str) -> Lock:
    """The lock of a tiny composition on that base."""
    tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    directory = workspace.composition("pair")
    text = (directory / "composition.toml").read_text()
    tiny.write(directory / "composition.toml", f'{text}\n[image]\nbase = "{base}"\n')
    tiny.track(workspace.root)
    manifest = Manifest.parse(directory / "composition.toml")
    lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    lock.write(directory)
    return lock


def test_built_image(
    engine: Engine, workspace: Workspace, lock: Lock, base: str, tmp_path: Path
) -> None:
    """It is verified by name and as a file; with one more layer and another user it is not."""
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    store = workspace.store
    layers = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
    on = Base(reference=base, image=engine.find_image(base) or "", libraries=())
    image = build_image(lock, engine=engine, base=on, layers=layers, store=store)
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "evil.py").write_text("")
    (changed / "Containerfile").write_text(
        f"FROM {image.reference}\nADD evil.py /opt/stevedore/own/core/\nUSER 0:0\n"
    )
    other = engine.build(changed)
    try:
        archive = tmp_path / "image.tar"
        engine.run("save", "--output", str(archive), image.reference)
        for place in (image.reference, str(archive)):
            verified = verify_image(place, workspace=workspace, engine=engine)
            assert verified.differences == ()
        said = verify_image(other, workspace=workspace, engine=engine).differences
        assert said[0] == "configuration: `User`: expected `65532:65532`, found `0:0`"
        assert said[-1].endswith("no build adds: `/opt/stevedore/own/core/evil.py` was added")
    finally:
        engine.run("rmi", "--force", other)
        engine.run("rmi", "--force", image.reference)


def test_large_weights(engine: Engine, workspace: Workspace, lock: Lock, base: str) -> None:
    """60 MB that a model fetches are a layer of the image, which other code does not change."""
    source = workspace.root / "models" / "iris" / "large.bin"
    source.write_bytes(random.Random(1).randbytes(60_000_000))
    record = workspace.root / "models/iris/src/stevedore_model_iris/weights"
    record.mkdir()
    fetched = FetchedFile.of(source, path="large.bin")
    record_weights(record, [], created=datetime(2026, 1, 31, tzinfo=UTC), fetched=[fetched])
    tiny.write_documents(record.parent)
    tiny.write(workspace.root / "models/iris/.gitignore", "large.bin\n")
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    on = Base(reference=base, image=engine.find_image(base) or "", libraries=())
    store = workspace.store
    digests = []
    for code in ("", "changed = True\n"):
        tiny.write(record.parent / "more.py", code)
        tiny.track(workspace.root)
        lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
        lock.write(workspace.composition("pair"))
        layers = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
        image = build_image(lock, engine=engine, base=on, layers=layers, store=store)
        digests.append(engine.layers(image.identity))
        sizes = dict(image.layer_bytes)
    try:
        assert verify_image(image.reference, workspace=workspace, engine=engine).differences == ()
    finally:
        engine.run("rmi", "--force", image.reference)
    changed = [one != other for one, other in zip(*digests, strict=True)]
    names = ["base", *(layer.name for layer in layers)]
    assert [name for name, is_other in zip(names, changed, strict=True) if is_other] == [
        "models/iris/1.0.0",
        "composition",
    ]
    assert sizes[layers[0].name] > 60_000_000


def test_what_is_not_there(engine: Engine, workspace: Workspace, lock: Lock, base: str) -> None:
    """Neither an image nor a base is guessed."""
    with pytest.raises(ImageUnreadable) as refused:
        verify_image("localhost/absent:1", workspace=workspace, engine=engine)
    assert (
        str(refused.value) == f"{engine.name} has no image `localhost/absent:1`, nor is it a file"
    )
    engine.run("rmi", "--force", base)
    with pytest.raises(BaseUnusable) as unusable:
        base_image(lock, engine=engine, platform=LINUX_AMD64)
    assert str(unusable.value) == (
        f"base `{base}`: {engine.name} has no such image, so what stands on it cannot be verified; "
        "pull it, or run `make base NAME=pair`"
    )

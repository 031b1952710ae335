"""What an engine built is what its lock gives, and one more layer on it is not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from stevedore_build.bases import Base
from stevedore_build.engines import Engine
from stevedore_build.errors import BaseUnusable, ImageUnreadable
from stevedore_build.images import build_image
from stevedore_build.layers import layers_of
from stevedore_build.locking import lock_manifest
from stevedore_build.pins import wheels_of
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.verifying import base_image, verify_image
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

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

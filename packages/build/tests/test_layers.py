"""From a lock to layers, with an index of tiny wheels."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import LayerRefused, ToolFailed
from stevedore_build.layers import Layer, layers_of
from stevedore_build.locking import lock_manifest
from stevedore_build.pins import wheels_of
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, Platform
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest


def locked(workspace: Workspace) -> tuple[Manifest, Lock]:
    """Lock the composition of a tiny repository."""
    tiny.track(workspace.root)
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    return manifest, lock_manifest(manifest, wheels_of(manifest, workspace=workspace))


def layers(
    workspace: Workspace,
    *,
    platform: Platform = LINUX_AMD64,
    libraries: AbstractSet[str] | None = None,
) -> dict[str, Layer]:
    """Make the layers of a tiny repository's composition, by name and in order."""
    manifest, lock = locked(workspace)
    made = layers_of(manifest, lock, store=workspace.store, platform=platform, libraries=libraries)
    return {layer.name: layer for layer in made}


def content(layer: Layer) -> dict[str, bytes]:
    """Return all files of a layer."""
    files = (path for path in layer.directory.rglob("*") if path.is_file())
    return {path.relative_to(layer.directory).as_posix(): path.read_bytes() for path in files}


def test_layers(workspace: Workspace, index: Path) -> None:
    """What changes least comes first; each layer has its place inside an image."""
    tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    made = layers(workspace)
    assert [(layer.name, str(layer.target)) for layer in made.values()] == [
        ("environments/default", "/opt/stevedore/environments/default"),
        ("environments/front", "/opt/stevedore/environments/front"),
        ("own", "/opt/stevedore/own"),
        ("models/iris/1.0.0", "/opt/stevedore/models/iris/1.0.0"),
        ("models/digits/1.0.0", "/opt/stevedore/models/digits/1.0.0"),
        ("composition", "/opt/stevedore/composition"),
    ]
    assert set(content(made["environments/default"])) == {
        "alpha/__init__.py",
        "alpha/__pycache__/__init__.cpython-311.pyc",
        *(f"alpha-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD")),
        *(f"alpha-1.0.dist-info/{name}" for name in ("REQUESTED", "WHEEL")),
    }
    assert set(content(made["composition"])) == {
        "composition.toml",
        "lock.toml",
        "lock/default.txt",
        "lock/front.txt",
        "sbom.cdx.json",
    }
    tops = {path.split("/")[1] for path in content(made["own"])}
    assert {"stevedore_core", "stevedore_api"} < tops


@pytest.mark.usefixtures("index")
def test_same_everywhere(tmp_path: Path) -> None:
    """The same repository in two directories has the same layers, byte for byte."""
    one = layers(tiny.make_repository(tmp_path / "one"))
    two = layers(tiny.make_repository(tmp_path / "the other"))
    assert [layer.digest for layer in one.values()] == [layer.digest for layer in two.values()]
    for name, layer in one.items():
        assert content(layer) == content(two[name])


@pytest.mark.usefixtures("index")
def test_one_model_changes(workspace: Workspace) -> None:
    """Another model package means another layer for it, and the small last one; nothing else."""
    before = layers(workspace)
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/weights.txt", "2")
    after = layers(workspace)
    changed = {name for name, layer in after.items() if layer.digest != before[name].digest}
    assert changed == {"models/iris/1.0.0", "composition"}


def test_platform(workspace: Workspace, index: Path) -> None:
    """A layer of third-party distributions is made for one platform."""
    tiny.write_wheel(index, "alpha")
    needs = ["alpha ; platform_machine == 'x86_64'"]
    tiny.add_model(workspace.root, "iris", requires=needs)
    here, there = (layers(workspace, platform=p) for p in (LINUX_AMD64, LINUX_ARM64))
    assert "alpha/__init__.py" in content(here["environments/default"])
    assert content(there["environments/default"]) == {}
    assert here["own"] == there["own"]


def test_platforms_never_share(workspace: Workspace, index: Path) -> None:
    """Equal pins may mean other wheels elsewhere, so the platform is a part of the digest."""
    tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    here, there = (layers(workspace, platform=p) for p in (LINUX_AMD64, LINUX_ARM64))
    assert here["environments/default"].digest != there["environments/default"].digest


def test_made_once(workspace: Workspace, index: Path) -> None:
    """A layer that exists is used as it is, even if the index is gone."""
    wheel = tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    manifest, lock = locked(workspace)
    store = workspace.store
    made = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
    wheel.unlink()
    again = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
    assert made == again


@pytest.mark.parametrize(
    ("sha256s", "reason"), [(("0" * 64,), "Hash mismatch"), ((), "must have a hash")]
)
def test_other_hash(
    workspace: Workspace, index: Path, sha256s: tuple[str, ...], reason: str
) -> None:
    """What is installed has a locked hash, or nothing is installed."""
    tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    manifest, lock = locked(workspace)
    environment = lock.environment("default")
    forged = replace(environment, pins=(replace(environment.pins[0], sha256s=sha256s),))
    lock = replace(lock, environments=(forged,))
    with pytest.raises(ToolFailed, match=reason):
        layers_of(manifest, lock, store=workspace.store, platform=LINUX_AMD64, libraries=None)
    assert not [p for p in workspace.store.layers.glob("*") if p.is_dir()]


def test_clash(workspace: Workspace, index: Path) -> None:
    """Two distributions in each other's way stop the layer."""
    tiny.write_wheel(index, "alpha", files={"same.py": "a = 1\n"})
    tiny.write_wheel(index, "beta", files={"same.py": "a = 2\n"})
    tiny.add_model(workspace.root, "iris", requires=["alpha", "beta"])
    with pytest.raises(LayerRefused, match=r"`alpha` and `beta` bring different files `same\.py`"):
        layers(workspace)


def test_missing_library(workspace: Workspace, index: Path) -> None:
    """A library that neither the layer nor the base has is told before anything is served."""
    import jiter  # noqa: PLC0415 - any compiled module will do

    (binary,) = Path(jiter.__file__).parent.glob("*.so")
    wheel = tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    layer = layers(workspace)["environments/default"]
    assert wheel.is_file()
    (layer.directory / "alpha" / "binary.so").write_bytes(binary.read_bytes())
    with pytest.raises(LayerRefused, match=r"`libc\.so\.6`, which `alpha/binary\.so` needs"):
        layers(workspace, libraries={"libm.so.6"})

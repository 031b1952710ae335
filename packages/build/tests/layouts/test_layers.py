"""From a lock to layers, with an index of tiny wheels."""

import shutil
import zipfile
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from stevedore_build.errors import LayerRefused, ToolFailed, WorkspaceInvalid
from stevedore_build.layouts.layers import Layer, layers_of
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, Platform
from stevedore_build.processes import run
from stevedore_build.wheels.building import stored_wheel
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest
from stevedore_core.requirements_files import parse_pins


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A repository of which nothing was made before."""
    return tiny.make_repository(tmp_path / "repository")


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


@pytest.mark.fault("G2")
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


def tampered(wheel: Path) -> Iterator[None]:
    """Change a wheel in five ways, each of which leaves it valid; put it back in the end."""
    content = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    module = next(name for name in files if name.endswith("__init__.py"))
    changes: list[dict[str, bytes]] = [
        {module: b"import os\n"},
        {module: files[module] + b"\n"},
        {module.replace("__init__", "more"): b""},
        {next(name for name in files if name.endswith("METADATA")): b"Name: other\n"},
        {},  # the same files, compressed
    ]
    for change in changes:
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in {**files, **change}.items():
                archive.writestr(name, text)
        yield
    wheel.write_bytes(content)


def tampering(workspace: Workspace, index: Path) -> tuple[list[Path], Callable[[Path], bool]]:
    """Return a third-party wheel and one of ours, both locked, and what tells if one is refused.

    Refused means that an error says so and that nothing of it is unpacked.
    """
    alpha = tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    manifest, lock = locked(workspace)
    iris = stored_wheel(lock.models[0], store=workspace.store)

    def unpacked(wheel: Path) -> list[Path]:
        name = wheel.name.partition("-")[0]
        return [path.parent for path in workspace.store.layers.glob(f"*/{name}")]

    def is_refused(wheel: Path) -> bool:
        for path in (index.parent / "uv-cache", *unpacked(wheel)):
            shutil.rmtree(path, ignore_errors=True)  # a machine that never saw the wheel
        try:
            layers_of(manifest, lock, store=workspace.store, platform=LINUX_AMD64, libraries=None)
        except (ToolFailed, WorkspaceInvalid) as error:
            told = "Hash mismatch" in str(error) or "expected sha256" in str(error)
            return told and not unpacked(wheel)
        return False

    return [alpha, iris], is_refused


@pytest.mark.fault("G2")
def test_tampered_wheels(workspace: Workspace, index: Path, figure: Callable[[str], None]) -> None:
    """A wheel that is not the locked one is refused, in an index and in our own store."""
    wheels, is_refused = tampering(workspace, index)
    refusals = [is_refused(wheel) for wheel in wheels for _ in tampered(wheel)]
    figure(f"{sum(refusals)} of {len(refusals)} tampered wheels refused, none installed")
    assert refusals == [True] * 10
    assert not any(is_refused(wheel) for wheel in wheels)


@pytest.mark.control("G2")
def test_tampered_wheels_pass_where_no_hash_is_checked(
    workspace: Workspace, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that neither demands hashes nor looks at stored wheels takes what it is given."""
    wheels, is_refused = tampering(workspace, index)

    def unchecked(argv: list[str], **options: Any) -> str:
        requirements = Path(argv[-1])
        if "--require-hashes" in argv:
            argv = [argument for argument in argv if argument != "--require-hashes"]
            pins = parse_pins(requirements.read_text(), file="requirements.txt")
            requirements.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        return run(argv, **options)

    monkeypatch.setattr("stevedore_build.layouts.layers.run", unchecked)
    monkeypatch.setattr("stevedore_build.layouts.layers.refuse_other_content", Path.stat)
    assert not any(is_refused(wheel) for wheel in wheels for _ in tampered(wheel))


def test_clash(workspace: Workspace, index: Path) -> None:
    """Two distributions in each other's way stop the layer."""
    tiny.write_wheel(index, "alpha", files={"same.py": "a = 1\n"})
    tiny.write_wheel(index, "beta", files={"same.py": "a = 2\n"})
    tiny.add_model(workspace.root, "iris", requires=["alpha", "beta"])
    with pytest.raises(LayerRefused, match=r"`alpha` and `beta` bring different files `same\.py`"):
        layers(workspace)


def test_clash_in_a_kept_layer(workspace: Workspace, index: Path) -> None:
    """What an earlier version installed is not served either."""
    tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    kept = layers(workspace)["environments/default"].directory
    tiny.install(kept, tiny.write_wheel(index, "beta", files={"sitecustomize.pyc": ""}))
    with pytest.raises(LayerRefused, match=r"`beta` brings `sitecustomize\.pyc`"):
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

"""The bill of materials lists all that a layout holds, in a form that others can read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from stevedore_build.errors import LayerRefused
from stevedore_build.inventory.shipped import shipped_in
from stevedore_build.layouts.joining import make_layout
from stevedore_build.layouts.layers import SBOM, layers_of
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, Platform
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest


def locked(workspace: Workspace) -> tuple[Manifest, Lock]:
    """Lock the composition of a tiny repository."""
    tiny.track(workspace.root)
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    return manifest, lock_manifest(manifest, wheels_of(manifest, workspace=workspace))


def sbom(workspace: Workspace, *, platform: Platform = LINUX_AMD64) -> dict[str, Any]:
    """Return the bill of materials in the last layer of a tiny repository's composition."""
    manifest, lock = locked(workspace)
    store = workspace.store
    made = layers_of(manifest, lock, store=store, platform=platform, libraries=None)
    found: dict[str, Any] = json.loads((made[-1].directory / SBOM).read_text())
    return found


def listed(found: dict[str, Any]) -> list[str]:
    """Return where the components of a bill of materials lie."""
    return [
        occurrence["location"].removeprefix("/opt/stevedore/")
        for component in found["components"]
        for occurrence in component["evidence"]["occurrences"]
    ]


def walked(layout: Layout) -> list[str]:
    """Return where a layout holds a RECORD, found without any of our code."""
    walk = os.walk(layout.root, followlinks=True)
    return [os.path.relpath(place, layout.root) for place, _, files in walk if "RECORD" in files]


@pytest.fixture
def rich(workspace: Workspace, index: Path) -> Workspace:
    """A repository with requirements of all kinds: extras, markers, one carried in another."""
    needs = ["beta; extra == 'more'", "delta; extra == 'no'"]
    tiny.write_wheel(index, "alpha", requires=needs, metadata="License-Expression: MIT\n")
    carried = {
        "beta/inner/kept-3.dist-info/METADATA": "Metadata-Version: 2.1\nName: kept\nVersion: 3\n",
        "beta/inner/kept-3.dist-info/RECORD": "",
    }
    tiny.write_wheel(index, "beta", files={"beta/__init__.py": "", **carried})
    tiny.write_wheel(index, "gamma", requires=["alpha", "delta; platform_machine == 'aarch64'"])
    tiny.write_wheel(index, "delta")
    tiny.add_model(workspace.root, "iris", requires=["alpha[more]"])
    tiny.add_model(workspace.root, "digits", requires=["delta"])
    tiny.add_package(workspace.root, "api", requires=["ml-py-stevedore-core", "gamma"])
    return workspace


def test_lists_all_that_is_there(rich: Workspace) -> None:
    """An independent walk of the layout finds no RECORD that is not listed, and none too few."""
    manifest, lock = locked(rich)
    layout = make_layout(manifest, lock, store=rich.store)
    found = listed(json.loads((layout.composition / SBOM).read_text()))
    assert "environments/default/beta/inner/kept-3.dist-info" in found
    assert sorted(found) == sorted(walked(layout))


def test_what_is_missing_is_seen(rich: Workspace) -> None:
    """The walk is independent: a distribution that nobody listed is found by it."""
    manifest, lock = locked(rich)
    layout = make_layout(manifest, lock, store=rich.store)
    found = listed(json.loads((layout.composition / SBOM).read_text()))
    tiny.write(layout.environment("default") / "sneaked-1.dist-info" / "RECORD", "")
    assert set(walked(layout)) - set(found) == {"environments/default/sneaked-1.dist-info"}


def test_fits_the_schema(rich: Workspace) -> None:
    """The schema of CycloneDX 1.6 accepts it, and refuses a component without a name."""
    found = sbom(rich)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(found)) is None
    del found["components"][0]["name"]
    assert validator.validate_str(json.dumps(found)) is not None


def test_component(rich: Workspace) -> None:
    """A component tells its wheels, its licence, where it lies and in what it is known."""
    found = {component["bom-ref"]: component for component in sbom(rich)["components"]}
    _, lock = locked(rich)
    (pin,) = (pin for pin in lock.environment("default").pins if pin.name == "alpha")
    assert found["environments/default/alpha-1.0"] == {
        "bom-ref": "environments/default/alpha-1.0",
        "evidence": {
            "occurrences": [{"location": "/opt/stevedore/environments/default/alpha-1.0.dist-info"}]
        },
        "hashes": [{"alg": "SHA-256", "content": pin.sha256s[0]}],
        "licenses": [{"license": {"id": "MIT"}}],
        "name": "alpha",
        "properties": [{"name": "ml-py-stevedore:place", "value": "environments/default"}],
        "purl": "pkg:pypi/alpha@1.0",
        "type": "library",
        "version": "1.0",
    }
    own = found["models/iris/1.0.0/stevedore_model_iris-1.0.0"]
    assert own["purl"] == (
        f"pkg:generic/stevedore-model-iris@1.0.0?checksum=sha256:{lock.model('iris').sha256}"
    )


def test_who_requires_whom(rich: Workspace) -> None:
    """Requirements are followed per process, with the extras that are asked for and no others."""
    found = {entry["ref"]: entry.get("dependsOn", []) for entry in sbom(rich)["dependencies"]}
    core, api = "own/core/ml_py_stevedore_core-0.1.0", "own/api/ml_py_stevedore_api-0.1.0"
    iris = "models/iris/1.0.0/stevedore_model_iris-1.0.0"
    digits = "models/digits/1.0.0/stevedore_model_digits-1.0.0"
    default, front = "environments/default", "environments/front"
    assert found == {
        "composition": sorted([iris, digits, core, api]),
        core: [],
        api: [f"{front}/gamma-1.0", core],
        iris: [f"{default}/alpha-1.0", core],
        digits: [f"{default}/delta-1.0", core],
        f"{default}/alpha-1.0": [f"{default}/beta-1.0"],
        f"{default}/beta-1.0": [],
        f"{default}/beta/inner/kept-3": [],
        f"{default}/delta-1.0": [],
        f"{front}/alpha-1.0": [],
        f"{front}/gamma-1.0": [f"{front}/alpha-1.0"],
    }
    on_arm = {entry["ref"]: entry for entry in sbom(rich, platform=LINUX_ARM64)["dependencies"]}
    assert on_arm[f"{front}/gamma-1.0"]["dependsOn"] == [
        f"{front}/alpha-1.0",
        f"{front}/delta-1.0",
    ]


def test_same_bytes_in_another_process(rich: Workspace, tmp_path: Path) -> None:
    """Neither the order of sets nor the time has a say in it."""
    manifest, lock = locked(rich)
    make_layout(manifest, lock, store=rich.store)
    lock.write(tmp_path)
    told = {
        subprocess.run(
            [sys.executable, "-c", WRITE, str(rich.store.root), str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    assert b"timestamp" not in told.pop()


WRITE = """
import sys
from pathlib import Path
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.inventory.sbom import sbom_of
from stevedore_build.inventory.shipped import shipped_in
from stevedore_core.lock import Lock
lock = Lock.read(Path(sys.argv[2]))
(root,) = Path(sys.argv[1], "layouts").iterdir()
names = ["environments/default", "environments/front", "own"]
names += [f"models/{model.name}/{model.version}" for model in lock.models]
shipped = shipped_in([(name, (root / name).resolve()) for name in names], lock)
print(sbom_of(lock, shipped, platform=LINUX_AMD64, python="3.11.2"))
"""


def test_distribution_that_is_not_locked(rich: Workspace, tmp_path: Path) -> None:
    """What the lock does not know is refused, not listed."""
    _, lock = locked(rich)
    tiny.write(tmp_path / "x-1.dist-info" / "METADATA", "Name: x\nVersion: 1\n")
    with pytest.raises(LayerRefused) as refused:
        shipped_in([("environments/default", tmp_path)], lock)
    assert str(refused.value) == (
        "layer `environments/default` holds `x` 1, which is not in the lock"
    )

"""Layers and images for another kind of processor than the one that builds."""

import json
import os
import platform
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from rooms import make_room_of

from stevedore_build.errors import LayerRefused
from stevedore_build.layouts.layers import layers_of
from stevedore_build.layouts.machines import HEADER_BYTES, machine_of, refuse_other_machines
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, Platform
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.manifest import Manifest

ROOT = Path(__file__).parents[3]
FULL = os.environ.get("STEVEDORE_FAULT_SCALE") == "full"

AMD64, ARM64, RISCV = (
    b"\x7fELF" + bytes(14) + machine for machine in (b">\0", b"\xb7\0", b"\xf3\0")
)


@pytest.mark.parametrize(
    ("header", "machine"),
    [
        (AMD64, "amd64"),
        (ARM64, "arm64"),
        (RISCV, "another machine"),
        (b"\x7fELF", "another machine"),
        (b"#!/bin/sh", None),
        (b"", None),
    ],
)
def test_machine(header: bytes, machine: str | None) -> None:
    """Two bytes of the header tell; what is no program has no machine."""
    assert machine_of(header) == machine


def test_all_others_are_listed(tmp_path: Path) -> None:
    """Each file for another machine is named, whatever it is called; links are followed nowhere."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "good.so").write_bytes(ARM64)
    (tmp_path / "text.py").write_text("text")
    refuse_other_machines("environments/default", tmp_path, "arm64")
    (tmp_path / "a" / "slipped.so").write_bytes(AMD64)
    (tmp_path / "tool").write_bytes(RISCV)
    with pytest.raises(LayerRefused) as refused:
        refuse_other_machines("environments/default", tmp_path, "arm64")
    assert str(refused.value) == (
        "layer `environments/default` is made for arm64, and 2 of its files are not: "
        "`a/slipped.so` is for amd64, `tool` is for another machine; "
        "require a version whose wheel for arm64 is right"
    )


@pytest.mark.parametrize(("made_for", "fits"), [(LINUX_AMD64, True), (LINUX_ARM64, False)])
def test_slipped_into_a_wheel(
    workspace: Workspace, index: Path, made_for: Platform, *, fits: bool
) -> None:
    """A wheel that says it runs anywhere, and holds a program for amd64, is for amd64 only."""
    tiny.write_wheel(index, "numlib", files={"numlib/__init__.py": "", "numlib/x": AMD64.decode()})
    tiny.add_model(workspace.root, "iris", requires=["numlib"])
    tiny.track(workspace.root)
    manifest = Manifest.parse(workspace.composition("pair") / "composition.toml")
    lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))

    def make() -> int:
        made = layers_of(
            manifest, lock, store=workspace.store, platform=made_for, libraries=frozenset()
        )
        return len(made)

    if fits:
        assert make() == len(["default", "front", "own", "iris", "digits", "composition"])
    else:
        with pytest.raises(LayerRefused, match="`numlib/x` is for amd64"):
            make()


def machines_in(saved: Path) -> Counter[str]:
    """Return how many files of a saved image are for which machine."""
    found: Counter[str] = Counter()
    with tarfile.open(saved) as image:
        listed = image.extractfile("manifest.json")
        assert listed is not None
        for name in json.load(listed)[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(name)) as layer:
                for entry in layer:
                    content = layer.extractfile(entry) if entry.isreg() else None
                    machine = machine_of(content.read(HEADER_BYTES)) if content else None
                    found.update([machine] if machine else [])
    return found


@pytest.mark.skipif(not FULL, reason="takes a base and wheels for arm64 from the network")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="is about arm64 made on amd64")
def test_image_for_arm64(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """A whole image for arm64 is made without running anything of it; all in it is for arm64.

    What its libraries need and where its Python lies is checked by every build.
    """
    room = make_room_of(ROOT, tmp_path / "room", composition="bundle")
    try:
        with room.start("image", "bundle", "--engine", "podman", "--arch", "arm64") as process:
            printed, said = process.communicate()
        assert process.returncode == 0, said
        name = printed.strip()
        assert name == "localhost/bundle:1.0.0-arm64"
        kind = room.engine.run("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", name)
        assert kind == LINUX_ARM64.name
        room.engine.run("save", "--quiet", "--output", str(tmp_path / "image.tar"), name)
        found = machines_in(tmp_path / "image.tar")
        assert list(found) == ["arm64"]
        assert found["arm64"] > 100
        figure(f"{found['arm64']} programs and libraries in `bundle` for arm64, 0 for another")
    finally:
        room.clear()

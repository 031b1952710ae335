"""An image as `save` writes it, made without an engine: whole, or changed on purpose."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stevedore_build.images.building import containerfile_of
from stevedore_build.images.tars import tar_layer
from stevedore_build.images.verifying import BaseImage
from stevedore_build.layouts.layers import Layer
from stevedore_build.store import Store
from stevedore_core.lock import Lock

__all__ = ["BASE_LAYER", "Draft", "base_of", "draft_of", "rewritten", "tar_of"]


def tar_of(**files: str) -> bytes:
    """Return a tar with a few files; a name's `__` stands for `/`."""
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return room.getvalue()


BASE_LAYER = tar_of(etc__os_release="ID=nothing")


@dataclass(kw_only=True, slots=True)
class Draft:
    """An image that can still be changed."""

    configuration: dict[str, Any]
    layers: list[bytes]
    digests: list[str] = field(default_factory=list)
    """What the configuration says about the layers; by default the truth."""

    def save(self, archive: Path) -> Path:
        """Write it as an engine does."""
        digests = self.digests or [digest(layer) for layer in self.layers]
        text = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": self.configuration,
                "rootfs": {"type": "layers", "diff_ids": digests},
            }
        ).encode()
        names = [f"{place}.tar" for place, _ in enumerate(self.layers)]
        manifest = [{"Config": "image.json", "RepoTags": None, "Layers": names}]
        files = {"manifest.json": json.dumps(manifest).encode(), "image.json": text}
        files |= dict(zip(names, self.layers, strict=True))
        with tarfile.open(archive, "w") as saved:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                saved.addfile(entry, io.BytesIO(content))
        return archive


def digest(layer: bytes) -> str:
    """Return the digest of a layer."""
    return f"sha256:{hashlib.sha256(layer).hexdigest()}"


def base_of(reference: str = "slim:1") -> BaseImage:
    """Return a base of one layer, with a variable and a label of its own."""
    return BaseImage(
        reference=reference,
        identity="sha256:" + "b" * 64,
        layers=(digest(BASE_LAYER),),
        configuration={"Env": ["PATH=/bin", "GPG_KEY=1"], "Labels": {"maker": "debian"}},
    )


def draft_of(lock: Lock, *, base: BaseImage, layers: Sequence[Layer], store: Store) -> Draft:
    """Return the image that a build makes of these layers."""
    containerfile = containerfile_of(
        lock, base=base.identity, base_name=base.reference, layers=layers
    )
    return Draft(
        configuration=containerfile.configuration(base.configuration),
        layers=[BASE_LAYER, *(tar_layer(layer, store).read_bytes() for layer in layers)],
    )


def rewritten(
    layer: bytes, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]
) -> bytes:
    """Return a layer after a change to each of its entries; None leaves one out."""
    room = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(layer)) as old,
        tarfile.open(fileobj=room, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for entry in old:
            content = old.extractfile(entry) if entry.isreg() else None
            changed = change(entry, content.read() if content else b"")
            if changed:
                changed[0].size = len(changed[1])
                new.addfile(changed[0], io.BytesIO(changed[1]))
    return room.getvalue()

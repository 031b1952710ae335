"""An image that podman saved in a directory, rid of what tells where it was built.

Called by `engines`, so that podman gives the same image id on every machine and to every user.
"""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Final

__all__ = ["forget_origin"]

_OVERLAY: Final = "SCHILY.xattr.user.overlay."
"""Notes of the kernel's overlay, which get into layers where podman runs without root (4.3.1)."""


def forget_origin(saved: Path) -> str:
    """Rewrite the image in `saved` and return its new id, the digest of its configuration."""
    manifest = json.loads((saved / "manifest.json").read_text())
    old = saved / _file_name(manifest["config"]["digest"])
    configuration = json.loads(old.read_text())
    for key in ("container", "container_config", "parent"):
        configuration.pop(key, None)
    configuration["config"].pop("Hostname", None)
    # Another version of podman is to give the same image too.
    (configuration["config"].get("Labels") or {}).pop("io.buildah.version", None)
    for step in configuration["history"]:
        step.pop("comment", None)
    for place, layer in enumerate(manifest["layers"]):
        digest = _without_overlay_notes(saved / _file_name(layer["digest"]))
        if digest is not None:
            layer.update(digest=digest, size=(saved / _file_name(digest)).stat().st_size)
            configuration["rootfs"]["diff_ids"][place] = digest
    content = json.dumps(configuration, sort_keys=True).encode()
    identity = f"sha256:{hashlib.sha256(content).hexdigest()}"
    old.unlink()
    (saved / _file_name(identity)).write_bytes(content)
    manifest["config"].update(digest=identity, size=len(content))
    (saved / "manifest.json").write_text(json.dumps(manifest))
    return identity


def _without_overlay_notes(layer: Path) -> str | None:
    """Write a layer beside itself as root would have it; return its digest, None if it is so."""
    with tarfile.open(layer) as archive:
        entries = archive.getmembers()
    noted = [entry for entry in entries if _is_noted(entry)]
    if not noted:
        return None
    draft = layer.with_suffix(".draft")
    digest = hashlib.sha256()
    with layer.open("rb") as old, draft.open("wb") as new:

        def copy(start: int, end: int) -> None:
            old.seek(start)
            while block := old.read(min(end - old.tell(), 1 << 20)):
                digest.update(block)
                new.write(block)

        copied = 0
        for entry in noted:
            # The notes are a header of their own, ahead of the entry's.
            copy(copied, entry.offset)
            copied = entry.offset_data - tarfile.BLOCKSIZE
        copy(copied, layer.stat().st_size)
    identity = f"sha256:{digest.hexdigest()}"
    draft.rename(layer.with_name(_file_name(identity)))
    return identity


def _is_noted(entry: tarfile.TarInfo) -> bool:
    found = entry.pax_headers
    return bool(found) and all(name.startswith(_OVERLAY) for name in found)


def _file_name(digest: str) -> str:
    return digest.removeprefix("sha256:")

"""What tells where an image was built goes, and nothing else."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from stevedore_build.saved_images import forget_origin

NOTES = {"SCHILY.xattr.user.overlay.origin": "", "SCHILY.xattr.user.overlay.impure": "y"}
OTHER = {"SCHILY.xattr.user.mime_type": "text/plain"}


def layer(*, notes: dict[str, str], other: dict[str, str]) -> bytes:
    """Return a layer of three entries; directories have the notes, and one file another one."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, headers in (
            ("opt", None, notes),
            ("opt/plain.txt", b"plain" * 1000, {}),
            ("opt/typed.txt", b"typed", other),
            ("opt/stevedore", None, notes),
        ):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.REGTYPE if content else tarfile.DIRTYPE
            entry.size, entry.pax_headers = len(content or b""), headers
            archive.addfile(entry, io.BytesIO(content or b""))
        end = archive.offset
    return written.getvalue()[:end] + bytes(2 * tarfile.BLOCKSIZE)  # as engines end a tar


def save(place: Path, content: bytes, **told: str) -> Path:
    """Write an image of one layer as podman saves it."""
    place.mkdir()
    digest = hashlib.sha256(content).hexdigest()
    (place / digest).write_bytes(content)
    configuration = {
        **told,
        "config": {"Hostname": told.get("container", ""), "Labels": None},
        "history": [{"created_by": "ADD"} | ({"comment": "FROM x"} if told else {})],
        "rootfs": {"diff_ids": [f"sha256:{digest}"]},
    }
    (place / "config").write_text(json.dumps(configuration))
    manifest = {
        "config": {"digest": "sha256:config", "size": 0},
        "layers": [{"digest": f"sha256:{digest}", "size": len(content)}],
    }
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def test_without_root(tmp_path: Path) -> None:
    """What a user's podman saved becomes, byte by byte, what root's would be."""
    root = save(tmp_path / "root", layer(notes={}, other=OTHER))
    user = save(tmp_path / "user", layer(notes=NOTES, other=OTHER), container="abc", parent="def")
    assert forget_origin(user) == forget_origin(root)
    manifest = json.loads((root / "manifest.json").read_text())
    assert json.loads((user / "manifest.json").read_text()) == manifest
    named = [manifest["config"], *manifest["layers"]]
    for entry in named:
        content = (user / entry["digest"].removeprefix("sha256:")).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["digest"].removeprefix("sha256:")
        assert len(content) == entry["size"]


def test_other_attributes_stay(tmp_path: Path) -> None:
    """An attribute that is none of the overlay's is part of the image."""
    plain = forget_origin(save(tmp_path / "plain", layer(notes={}, other={})))
    assert forget_origin(save(tmp_path / "typed", layer(notes={}, other=OTHER))) != plain

"""An image in a directory is written whole, and its id follows from what is in it."""

import hashlib
import json
from pathlib import Path

import pytest

from stevedore_build.images.directories import ImageDirectory, ImageTar
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, Platform

BELOW = ("sha256:" + "b" * 64, "sha256:" + "c" * 64)
INSTRUCTIONS = 'FROM base\nADD own.tar /\nENV A="1"\nCMD ["run"]\n'
CREATED = "1970-01-01T00:00:00Z"
TAR_DIGEST = f"sha256:{hashlib.sha256(b'a tar').hexdigest()}"


@pytest.fixture
def tar(tmp_path: Path) -> ImageTar:
    """What becomes a layer; nobody looks inside."""
    path = tmp_path / "own.tar"
    path.write_bytes(b"a tar")
    return ImageTar.read(path)


def write(
    place: Path,
    tar: ImageTar,
    *,
    instructions: str = INSTRUCTIONS,
    platform: Platform = LINUX_AMD64,
) -> str:
    """Write an image of one tar on two layers."""
    place.mkdir()
    directory = ImageDirectory(
        instructions=instructions,
        configuration={"Cmd": ["run"]},
        below=BELOW,
        tars=[tar],
        platform=platform,
    )
    return directory.write(place)


def test_configuration(tmp_path: Path, tar: ImageTar) -> None:
    """It is the file that the id is the digest of, with as many steps of history as layers."""
    identity = write(tmp_path / "image", tar)
    content = (tmp_path / "image" / identity.removeprefix("sha256:")).read_bytes()
    assert identity == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert json.loads(content) == {
        "architecture": "amd64",
        "config": {"Cmd": ["run"]},
        "created": CREATED,
        "history": [
            {"created": CREATED, "created_by": "FROM base"},
            {"created": CREATED, "created_by": "FROM base"},
            {"created": CREATED, "created_by": "ADD own.tar /"},
            {"created": CREATED, "created_by": 'ENV A="1"', "empty_layer": True},
            {"created": CREATED, "created_by": 'CMD ["run"]', "empty_layer": True},
        ],
        "os": "linux",
        "rootfs": {"diff_ids": [*BELOW, TAR_DIGEST], "type": "layers"},
    }


def test_directory(tmp_path: Path, tar: ImageTar) -> None:
    """It has the tar under its digest, taking no room twice, and nothing of the layers below."""
    place = tmp_path / "image"
    identity = write(place, tar)
    name, linked = identity.removeprefix("sha256:"), TAR_DIGEST.removeprefix("sha256:")
    assert sorted(path.name for path in place.iterdir()) == sorted(
        [name, linked, "manifest.json", "version"]
    )
    assert (place / linked).samefile(tar.path)
    assert (place / "version").read_text() == "Directory Transport Version: 1.1\n"
    layer = "application/vnd.docker.image.rootfs.diff.tar"
    assert json.loads((place / "manifest.json").read_text()) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": identity,
            "size": (place / name).stat().st_size,
        },
        "layers": [
            {"mediaType": layer, "digest": BELOW[0], "size": 0},
            {"mediaType": layer, "digest": BELOW[1], "size": 0},
            {"mediaType": layer, "digest": TAR_DIGEST, "size": 5},
        ],
    }


def test_identity(tmp_path: Path, tar: ImageTar) -> None:
    """It is the same for the same image, and another for any other content."""
    (tmp_path / "other.tar").write_bytes(b"another tar")
    found = [
        write(tmp_path / "first", tar),
        write(tmp_path / "again", tar),
        write(tmp_path / "tar", ImageTar.read(tmp_path / "other.tar")),
        write(tmp_path / "instructions", tar, instructions="FROM base\nADD own.tar /\n"),
        write(tmp_path / "platform", tar, platform=LINUX_ARM64),
    ]
    assert found[0] == found[1]
    assert len(set(found)) == 4

"""What an engine saves is read as it is, compressed or not."""

import gzip
import hashlib
from pathlib import Path

import pytest
import saving
from saving import Draft

from stevedore_build.errors import ImageUnreadable
from stevedore_build.images.archives import Entry, SavedImage


def saved(tmp_path: Path, layer: bytes) -> SavedImage:
    """Return an image of one layer."""
    draft = Draft(configuration={"User": "1"}, layers=[layer])
    return SavedImage.read(draft.save(tmp_path / "image.tar"))


@pytest.mark.parametrize("compressed", [False, True])
def test_layer(tmp_path: Path, *, compressed: bool) -> None:
    """A layer is known by the digest of its tar, whichever way it was saved."""
    tar = saving.tar_of(opt__x="text")
    image = saved(tmp_path, gzip.compress(tar) if compressed else tar)
    assert image.layer_count == 1
    assert image.configuration["config"] == {"User": "1"}
    assert image.digest(0) == saving.digest(tar)
    assert image.files(0, "opt") == {"x": b"text"}
    assert image.entries(0) == {
        "opt/x": Entry(
            kind="file",
            mode="0644",
            owner="0:0",
            target="",
            attributes=(),
            sha256=hashlib.sha256(b"text").hexdigest(),
        )
    }


def test_last_entry_counts(tmp_path: Path) -> None:
    """A path that a tar holds twice is what the second one says: so it is when unpacked."""
    twice = saving.tar_of(x="good")[:1024] + saving.tar_of(x="evil")
    entry = saved(tmp_path, twice).entries(0)["x"]
    assert entry.sha256 == hashlib.sha256(b"evil").hexdigest()


def test_damaged_layer(tmp_path: Path) -> None:
    """A layer that ends too soon is no layer."""
    image = saved(tmp_path, gzip.compress(saving.tar_of(x="text"))[:-20])
    with pytest.raises(ImageUnreadable) as refused:
        image.digest(0)
    assert str(refused.value) == (
        "image.tar: layer 1 cannot be read: Compressed file ended before the end-of-stream marker "
        "was reached"
    )

"""The tags of releases, written and read in a real git repository."""

import subprocess
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import ToolFailed, WorkspaceInvalid
from stevedore_build.tags import ReleaseTag, find_tag, read_tags, write_tag

TRAILERS = {"Lock": "a" * 64, "Image-podman": "sha256:" + "b" * 64}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit, in which somebody may tag."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    tiny.name_author(tmp_path)
    tiny.write(tmp_path / "file", "")
    tiny.commit(tmp_path, "First\n\nSha256: of a commit")
    return tmp_path


def release(root: Path, version: str, name: str = "pair") -> ReleaseTag:
    """Tag a release of a composition."""
    return write_tag("compositions", name, version, subject="Release", trailers=TRAILERS, root=root)


def test_round_trip(root: Path) -> None:
    """What was written is read, in the order of versions, by kind and by name."""
    newer, older, other = (
        release(root, "1.10.0"),
        release(root, "1.9.0"),
        release(root, "1.0.0", "a-v2"),
    )
    assert newer.tag == "compositions/pair-v1.10.0"
    assert newer.trailer("Lock") == "a" * 64
    assert read_tags("compositions", root=root) == (other, older, newer)
    assert read_tags("compositions", "pair", root=root) == (older, newer)
    assert find_tag("compositions", "pair", "1.9.0", root=root) == older
    assert find_tag("compositions", "pair", "1.9.1", root=root) is None
    assert read_tags("models", root=root) == ()


def test_stays_with_its_commit(root: Path) -> None:
    """A tag names the commit it was written at, whatever is committed later."""
    tagged = release(root, "1.0.0")
    tiny.write(root / "file", "more")
    assert tiny.commit(root) != tagged.commit
    assert read_tags("compositions", root=root) == (tagged,)


def test_written_once(root: Path) -> None:
    """A release that is tagged cannot be tagged again."""
    release(root, "1.0.0")
    with pytest.raises(ToolFailed, match=r"tag 'compositions/pair-v1\.0\.0' already exists"):
        release(root, "1.0.0")


def test_tags_that_no_release_wrote(root: Path) -> None:
    """A plain tag records nothing, whatever its commit says; one of another name is passed over."""
    for tag in ("models/iris-v1.0.0", "models/iris-v1", "models/iris", "v1.0.0"):
        subprocess.run(["git", "tag", tag], cwd=root, check=True)
    (found,) = read_tags("models", root=root)
    assert found.trailers == {}
    with pytest.raises(WorkspaceInvalid) as caught:
        found.trailer("Sha256")
    assert str(caught.value) == (
        "the tag `models/iris-v1.0.0` is no record of a release: expected an annotated tag whose "
        "message ends with `Sha256: …`; delete it, and let the release write it"
    )

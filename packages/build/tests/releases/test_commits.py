"""Files that a release changes, adds or removes are put back if it fails."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny

from stevedore_build.processes import git
from stevedore_build.releases.commits import all_or_nothing
from stevedore_build.workspace import Workspace


def test_files_are_put_back(workspace: Workspace) -> None:
    """After the commit too: a changed file, an added one, and one that the release removed."""
    root = workspace.root
    names = ("changed.txt", "added.txt", "removed.txt")
    changed, added, removed = files = [root / name for name in names]
    for file in (changed, removed):
        tiny.write(file, "as it was\n")
    tiny.commit(root)
    tiny.name_author(root)
    head = git("rev-parse", "HEAD", cwd=root)
    with pytest.raises(KeyboardInterrupt):
        release_and_interrupt(files, root)
    assert changed.read_text() == removed.read_text() == "as it was\n"
    assert not added.exists()
    assert git("rev-parse", "HEAD", cwd=root) == head
    assert git("status", "--porcelain", cwd=root) == ""
    assert git("tag", "--list", cwd=root) == ""


def release_and_interrupt(files: Sequence[Path], root: Path) -> None:
    """Change one file, add one, remove one, commit and tag that, and be interrupted."""
    head = git("rev-parse", "HEAD", cwd=root)
    with all_or_nothing(files, "compositions", "pair", "1.0.0", root=root) as commit:
        for file, text in zip(files, ("changed\n", "added\n"), strict=False):
            file.write_text(text)
        files[2].unlink()
        commit(files, {"Lock": "0"})
        assert git("rev-parse", "HEAD", cwd=root) != head
        raise KeyboardInterrupt

"""Things appear in the store in one step, or not at all."""

from pathlib import Path

import pytest

from stevedore_build.store import Store


def test_complete(tmp_path: Path) -> None:
    """A file or a directory is in place once it is written; nothing else is left."""
    store = Store(root=tmp_path)
    store.write(store.passed / "a", "text")
    with store.replacing(store.layers / "b") as draft:
        draft.mkdir()
        assert not (store.layers / "b").exists()
        (draft / "file").touch()
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert left == ["drafts", "layers", "layers/b", "layers/b/file", "passed", "passed/a"]


def test_interrupted(tmp_path: Path) -> None:
    """What was interrupted leaves nothing, and what was there before stays."""
    store = Store(root=tmp_path)
    store.write(store.passed / "a", "old")

    def write_half() -> None:
        with store.replacing(store.passed / "a") as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [p.name for p in store.passed.iterdir()] == ["a"]
    assert (store.passed / "a").read_text() == "old"


def test_replaced(tmp_path: Path) -> None:
    """A directory takes the place of an older one."""
    store = Store(root=tmp_path)
    for name in ("one", "two"):
        with store.replacing(store.pythons / "3.11") as draft:
            draft.mkdir()
            (draft / name).touch()
    assert [p.name for p in (store.pythons / "3.11").iterdir()] == ["two"]
    assert [p.name for p in store.pythons.iterdir()] == ["3.11"]


def test_first_to_end_wins(tmp_path: Path) -> None:
    """What is named by its content is never touched again: somebody may be reading it."""
    store = Store(root=tmp_path)
    with store.adding(store.layers / "a") as late:
        with store.adding(store.layers / "a") as early:
            early.mkdir()
            (early / "early").touch()
        late.mkdir()
        (late / "late").touch()
    assert [p.name for p in (store.layers / "a").iterdir()] == ["early"]
    assert list(store.drafts.iterdir()) == []


def test_nothing_was_written(tmp_path: Path) -> None:
    """Whoever forgets to write is told, and nothing is in place."""
    store = Store(root=tmp_path)
    with pytest.raises(FileNotFoundError), store.adding(store.layers / "a"):
        pass
    assert not (store.layers / "a").exists()

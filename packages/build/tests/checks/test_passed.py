"""What already passed is remembered by content."""

from pathlib import Path

import tiny

from stevedore_build.checks.passed import already_passed, content_of, key_of, record_passed
from stevedore_build.store import Store


def test_content(tmp_path: Path) -> None:
    """Bytes and names count; where they lie, and what running them leaves behind, do not."""
    for place in ("one", "two"):
        tiny.write(tmp_path / place / "tests" / "a.py", "1")
    for left_over in ("__pycache__", ".pytest_cache", ".ruff_cache"):
        tiny.write(tmp_path / "two" / "tests" / left_over / "a", "x")
    one, two = (tmp_path / place / "tests" for place in ("one", "two"))
    assert content_of(one) == content_of(two)
    (two / "a.py").write_text("2")
    assert content_of(one) != content_of(two)
    (two / "a.py").rename(two / "b.py")
    (two / "b.py").write_text("1")
    assert content_of(one) != content_of(two)


def test_content_of_files(tmp_path: Path) -> None:
    """A file that is not there is another content than an empty one."""
    file = tmp_path / "a.toml"
    absent = content_of(file)
    file.touch()
    assert content_of(file) != absent
    assert content_of(file, file) != content_of(file)


def test_content_of_places(tmp_path: Path) -> None:
    """It counts in which of several directories a file is."""
    tiny.write(tmp_path / "one" / "a.py", "1")
    one, two = tmp_path / "one", tmp_path / "two"
    two.mkdir()
    assert content_of(one, two) != content_of(two, one)


def test_key() -> None:
    """Every part counts, under its name; the order in which they are named does not."""
    assert key_of({"a": "1", "b": ["2"]}) == key_of({"b": ["2"], "a": "1"})
    assert key_of({"a": "1", "b": "2"}) != key_of({"a": "2", "b": "1"})
    assert key_of({"a": "12"}) != key_of({"a": ["1", "2"]})


def test_record(tmp_path: Path) -> None:
    """A pass is remembered for one check and one key."""
    store = Store(root=tmp_path)
    record_passed("model-iris", "k1", store=store)
    assert already_passed("model-iris", "k1", store=store)
    assert not already_passed("model-iris", "k2", store=store)
    assert not already_passed("model-digits", "k1", store=store)

"""Reading a changelog, and writing a release into it."""

from datetime import date
from pathlib import Path

import pytest

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.releases.changelogs import UNRELEASED, Changelog, Entry

TEXT = """\
# Changelog

What callers notice.

## Unreleased

Surer.

```md
## 9.9.9
```

## 1.10.0 - 2026-01-31

More.

## 1.9.0

* One.
* Two.
"""

DAY = date(2026, 2, 3)


def read(text: str) -> Changelog:
    """Return a changelog of this text."""
    return Changelog.from_text(text, file="CHANGELOG.md")


def test_entries() -> None:
    """Each entry has its version, its date if it has one, and its text; code is no heading."""
    assert read(TEXT).entries == (
        Entry(version=UNRELEASED, released=None, text="Surer.\n\n```md\n## 9.9.9\n```"),
        Entry(version="1.10.0", released="2026-01-31", text="More."),
        Entry(version="1.9.0", released=None, text="* One.\n* Two."),
    )
    assert read(TEXT).entry("1.9.1") is None
    assert read("").entries == ()


def test_of_this_repository() -> None:
    """Every changelog that is kept here can be read, and names the newest version first."""
    files = sorted(Path(__file__).parents[4].glob("*/*/CHANGELOG.md"))
    assert files
    for file in files:
        changelog = Changelog.read(file)
        assert changelog.entries, file


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1.9.0", "1.10.0", ["1.10.0"]),
        ("1.0.0", "1.10.0", ["1.10.0", "1.9.0"]),
        (None, "1.9.0", ["1.9.0"]),
        ("1.10.0", "1.10.0", []),
    ],
)
def test_between(old: str | None, new: str, expected: list[str]) -> None:
    """The entries of a move are those above the old version up to the new one, by number."""
    assert [entry.version for entry in read(TEXT).between(old, new)] == expected


def test_promoted() -> None:
    """Only the heading of what was unreleased changes."""
    promoted = read(TEXT).promoted("1.11.0", DAY)
    assert promoted.text == TEXT.replace("## Unreleased", "## 1.11.0 - 2026-02-03")
    assert promoted.entries[0].released == "2026-02-03"
    with pytest.raises(KeyError):
        promoted.promoted("1.12.0", DAY)


def test_with_entry() -> None:
    """A new entry stands above the released ones, below what is unreleased; the rest stays."""
    added = read(TEXT).with_entry("1.11.0", DAY, "\nMoved.\n\n")
    assert [entry.version for entry in added.entries] == [UNRELEASED, "1.11.0", "1.10.0", "1.9.0"]
    entry = "## 1.11.0 - 2026-02-03\n\nMoved.\n\n"
    assert added.text == TEXT.replace("## 1.10.0", f"{entry}## 1.10.0")


def test_with_entry_in_an_empty_one() -> None:
    """The first entry follows the head."""
    added = read("# Changelog\n").with_entry("1.0.0", DAY, "First.")
    assert added.text == "# Changelog\n\n## 1.0.0 - 2026-02-03\n\nFirst.\n"


def test_invalid(tmp_path: Path) -> None:
    """All headings that are none are told at once, with their lines."""
    file = tmp_path / "CHANGELOG.md"
    file.write_text("## 1.0\n\n## 1.0.0\n## 1.0.0\n\n## 1.1.0 (soon)\n")
    expected = (
        "expected `## Unreleased` or a version with or without a date, such as "
        "`## 1.0.0 - 2026-01-31`, found"
    )
    with pytest.raises(WorkspaceInvalid) as caught:
        Changelog.read(file)
    assert str(caught.value) == (
        f"{file}: line 1: {expected} `## 1.0`; line 4: `1.0.0` has an entry already; join the "
        f"two; line 6: {expected} `## 1.1.0 (soon)`"
    )


def test_unreadable(tmp_path: Path) -> None:
    """A changelog that is not there, or is no text, is told by its path."""
    file = tmp_path / "CHANGELOG.md"
    with pytest.raises(WorkspaceInvalid) as caught:
        Changelog.read(file)
    assert str(caught.value) == f"{file}: not there; write `# Changelog` and an entry"
    file.write_bytes(b"\xff")
    with pytest.raises(WorkspaceInvalid, match="cannot be read: 'utf-8' codec"):
        Changelog.read(file)


def test_without() -> None:
    """One entry is gone, with the code in it; all else stays as it was."""
    start, _, rest = TEXT.partition("## Unreleased")
    _, heading, later = rest.partition("## 1.10.0")
    assert read(TEXT).without(UNRELEASED).text == start + heading + later
    assert read(TEXT).without("1.9.0").text == TEXT.partition("## 1.9.0")[0]
    assert read(TEXT).without("9.9.9").text == TEXT

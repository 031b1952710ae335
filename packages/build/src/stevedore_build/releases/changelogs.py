"""A `CHANGELOG.md` as data: its entries by version, read and written by releases.

The newest entry comes first; each begins with `## <version>`, `## <version> - <date>` or
`## Unreleased`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.versions import numbers
from stevedore_core.fields import VERSION, quote

__all__ = ["UNRELEASED", "Changelog", "Entry"]

UNRELEASED: Final = "Unreleased"
"""The title of what comes with the next release."""

_TITLE = re.compile(r"(?P<version>\S+)(?: - (?P<date>\d{4}-\d{2}-\d{2}))?")
_FENCE = re.compile(r" {0,3}(?:```|~~~)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What changed with one version."""

    version: str
    """A version, or `Unreleased`."""
    released: str | None
    """The date of the release as ISO 8601, where the heading has one."""
    text: str
    """What stands below the heading, without empty lines around it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changelog:
    """A changelog with all its entries; what is not changed stays as it was, byte for byte."""

    text: str
    entries: tuple[Entry, ...]

    @classmethod
    def read(cls, file: Path) -> "Changelog":
        """Read a changelog. Raises `WorkspaceInvalid` with every heading that is none."""
        try:
            text = file.read_bytes().decode("utf-8")
        except FileNotFoundError:
            raise WorkspaceInvalid(f"{file}: not there; write `# Changelog` and an entry") from None
        except UnicodeDecodeError as error:
            raise WorkspaceInvalid(f"{file}: cannot be read: {error}") from None
        return cls.from_text(text, file=str(file))

    @classmethod
    def from_text(cls, text: str, *, file: str) -> "Changelog":
        """Read the text of a changelog; `file` names it in messages. Raises as `read` does."""
        entries: list[Entry] = []
        problems = []
        for number, title, body in _sections(text):
            match = _TITLE.fullmatch(title)
            version = match["version"] if match else title
            if match is None or not (version == UNRELEASED or VERSION.accepts(version)):
                problems.append(
                    f"line {number}: expected `## {UNRELEASED}` or a version with or without a "
                    f"date, such as `## 1.0.0 - 2026-01-31`, found {quote(f'## {title}')}"
                )
                continue
            if version in {entry.version for entry in entries}:
                problems.append(f"line {number}: `{version}` has an entry already; join the two")
            entries.append(Entry(version=version, released=match["date"], text=body))
        if problems:
            raise WorkspaceInvalid(f"{file}: {'; '.join(problems)}")
        return cls(text=text, entries=tuple(entries))

    def entry(self, version: str) -> Entry | None:
        """Return the entry of a version or of `Unreleased`, `None` if there is none."""
        return next((entry for entry in self.entries if entry.version == version), None)

    def between(self, old: str | None, new: str) -> tuple[Entry, ...]:
        """Return the entries of the versions above `old` up to `new`, in the order of the file.

        Without `old`, all up to `new`. `Unreleased` is never among them.
        """
        above = (-1, 0, 0) if old is None else numbers(old)
        return tuple(
            entry
            for entry in self.entries
            if entry.version != UNRELEASED and above < numbers(entry.version) <= numbers(new)
        )

    def promoted(self, version: str, on: date) -> "Changelog":
        """Return the changelog in which what was unreleased is released as `version`.

        `KeyError` where there is no `## Unreleased`.
        """
        if self.entry(UNRELEASED) is None:
            raise KeyError(UNRELEASED)
        lines = self.text.splitlines(keepends=True)
        for number, title, _ in _sections(self.text):
            if title == UNRELEASED:
                lines[number - 1] = _heading(version, on)
        return Changelog.from_text("".join(lines), file=f"the changelog of {version}")

    def with_entry(self, version: str, on: date, body: str) -> "Changelog":
        """Return the changelog with one more entry on top, below an `## Unreleased`."""
        lines = self.text.splitlines(keepends=True)
        starts = [number for number, title, _ in _sections(self.text) if title != UNRELEASED]
        at = starts[0] - 1 if starts else len(lines)
        before = "".join(lines[:at]).rstrip("\n")
        after = "".join(lines[at:])
        parts = [before, _heading(version, on).rstrip("\n"), body.strip("\n"), after]
        text = "\n\n".join(part for part in parts if part)
        text = text if text.endswith("\n") else f"{text}\n"
        return Changelog.from_text(text, file=f"the changelog of {version}")

    def without(self, version: str) -> "Changelog":
        """Return the changelog in which a version, or `Unreleased`, has no entry."""
        lines = self.text.splitlines(keepends=True)
        starts = [(number - 1, title) for number, title, _ in _sections(self.text)]
        ends = [number for number, _ in starts[1:]] + [len(lines)]
        for (start, title), end in zip(reversed(starts), reversed(ends), strict=True):
            if title.partition(" - ")[0] == version:
                del lines[start:end]
        return Changelog.from_text("".join(lines), file=f"the changelog without {version}")


def _heading(version: str, on: date) -> str:
    return f"## {version} - {on.isoformat()}\n"


def _sections(text: str) -> Iterator[tuple[int, str, str]]:
    """Go through the entries: the line of the heading, counted from 1, its title, what follows.

    What looks like a heading inside a block of code is none.
    """
    found: list[tuple[int, str, list[str]]] = []
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        fenced ^= bool(_FENCE.match(line))
        if line.startswith("## ") and not fenced:
            found.append((number, line.removeprefix("## ").strip(), []))
        elif found:
            found[-1][2].append(line)
    for number, title, lines in found:
        yield number, title, "\n".join(lines).strip("\n")

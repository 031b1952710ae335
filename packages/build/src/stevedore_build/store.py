"""`Store`: where generated things lie, `.stevedore/` at the top of the repository.

Everything in it can be deleted at any time and is made again when needed.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stevedore_build.drafts import draft_directory

__all__ = ["Store"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """The directory of generated things. What is in place in it is complete, never half-written."""

    root: Path
    shared_weights: Path | None = None
    """Where fetched weights are kept instead, so that several checkouts share them."""

    @property
    def repository(self) -> Path:
        """The repository whose generated things lie here."""
        return self.root.parent

    @property
    def weights(self) -> Path:
        """Fetched weights, each under its sha256."""
        return self.shared_weights or self.root / "weights"

    @property
    def wheels(self) -> Path:
        """Our own wheels, each under its sha256."""
        return self.root / "wheels"

    def indexed(self, index: str) -> Path:
        """Return where is kept which wheels an index has."""
        return self.wheels / "indexed" / hashlib.sha256(index.encode()).hexdigest()

    @property
    def layers(self) -> Path:
        """What was installed, each layer under its digest."""
        return self.root / "layers"

    @property
    def layouts(self) -> Path:
        """Layouts made of layers, each under its digest."""
        return self.root / "layouts"

    @property
    def locks(self) -> Path:
        """Locks of what has no committed lock: models served alone, workspaces that moved on."""
        return self.root / "locks"

    @property
    def pythons(self) -> Path:
        """Empty virtual environments, one per interpreter."""
        return self.root / "pythons"

    @property
    def environments(self) -> Path:
        """What models require, installed to train and to ask them, each under its digest."""
        return self.root / "environments"

    @property
    def tars(self) -> Path:
        """Layers as tars, each under the digest of its content and its place, its own beside it."""
        return self.root / "tars"

    @property
    def contexts(self) -> Path:
        """What an engine builds an image from, each under the digest of its content."""
        return self.root / "contexts"

    @property
    def bases(self) -> Path:
        """Base images as tars, and what is known about those an engine has."""
        return self.root / "bases"

    @property
    def tests(self) -> Path:
        """Tests of older versions, each under the commit that they are taken from."""
        return self.root / "tests"

    @property
    def passed(self) -> Path:
        """What already passed, each check under its key."""
        return self.root / "passed"

    @property
    def drafts(self) -> Path:
        """What is being written, and what a killed process left; nothing in it is ever used."""
        return self.root / "drafts"

    @property
    def answers(self) -> Path:
        """What models answered, each under the digest of all that the answers depend on."""
        return self.root / "answers"

    def write(self, path: Path, text: str) -> None:
        """Put a text file in place in one step."""
        with self.replacing(path) as draft:
            draft.write_text(text, encoding="utf-8")

    @contextmanager
    def replacing(self, path: Path) -> Iterator[Path]:
        """Give a place to write at, and move what was written to `path` if nothing was raised."""
        with draft_directory(self.drafts) as scratch:
            draft = scratch / path.name
            yield draft
            path.parent.mkdir(parents=True, exist_ok=True)
            if draft.is_dir() and path.is_dir():
                path.rename(scratch / "replaced")
            draft.replace(path)

    @contextmanager
    def adding(self, path: Path) -> Iterator[Path]:
        """Do the same for a directory that is named by its content, so never replaced.

        Where two processes make it at once, the first to end wins: the other may be reading it.
        """
        with draft_directory(self.drafts) as scratch:
            draft = scratch / path.name
            yield draft
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                draft.rename(path)
            except OSError:
                if not path.is_dir():
                    raise

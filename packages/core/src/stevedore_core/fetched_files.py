"""`FetchedFile`: weights too large for a package, as its record names them.

`weights` reads and writes them; build fetches what they name.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stevedore_core.fields import SHA256, Fields, Grammar, toml_of

__all__ = ["FetchedFile", "digest_of", "fetched_in", "read_fetched"]

_FILE_NAME: Final = Grammar(
    pattern=re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9][A-Za-z0-9._+-]*"),
    expected="a file name of letters, digits, `.`, `_`, `+` and `-`",
)
_SOURCE_PATH: Final = Grammar(
    pattern=re.compile(
        r"(?=.{1,200}\Z)(?!(?:.*/)?\.\.?(?:/|\Z))[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*"
    ),
    expected="a path inside the model's directory, such as `large/model.npy`",
)
_URL: Final = Grammar(
    pattern=re.compile(
        r"(?=.{1,2000}\Z)https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
        r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)+"
    ),
    expected="an address without user, password and query, such as `https://…/model.npy`",
)

_LARGEST_BYTES: Final = 1 << 40
_REST: Final = ("created", "sha256")
"""What else a record holds, and `weights` reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedFile:
    """A file of weights that its package does not hold: what it is called and has to be.

    It comes from the address `url`, or from `path` in the model's directory: exactly one is given.
    """

    name: str
    sha256: str
    size_bytes: int
    url: str | None = None
    path: str | None = None

    @classmethod
    def of(cls, file: Path, *, url: str | None = None, path: str | None = None) -> "FetchedFile":
        """Describe a file that is here, by the name it has.

        Raises:
            DocumentInvalid: Its name, `url` or `path` may not stand in a record, or it is empty.
        """
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        described = cls(
            name=file.name, sha256=sha256, size_bytes=file.stat().st_size, url=url, path=path
        )
        read_fetched({"weights": [described.table]}, file=str(file))
        return described

    @property
    def source(self) -> str:
        """Where it comes from."""
        return self.url or self.path or ""

    @property
    def table(self) -> dict[str, object]:
        """What its table in the record holds."""
        found = {
            "file": self.name,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "url": self.url,
            "path": self.path,
        }
        return {key: value for key, value in found.items() if value is not None}

    @property
    def text(self) -> str:
        """Its table in the record."""
        return f"[[weights]]\n{toml_of(self.table)}"


def digest_of(files: Iterable[FetchedFile]) -> str:
    """Return the digest of files together: their names and contents, not where they come from.

    A layout keeps them in a directory of that name.
    """
    listed = sorted(f"{file.name}\0{file.sha256}\0" for file in files)
    return hashlib.sha256("".join(listed).encode()).hexdigest()


def read_fetched(record: dict[str, object], *, file: str) -> tuple[FetchedFile, ...]:
    """Read the tables `[[weights]]` of a record, by name; none if it has none.

    Raises:
        DocumentInvalid: With all that is wrong in them.
    """
    fields = Fields(table=record, file=file)
    for key in _REST:
        fields.has(key)
    found = fetched_in(fields)
    fields.finish()
    return found


def fetched_in(fields: Fields) -> tuple[FetchedFile, ...]:
    """Read the tables `[[weights]]` among the fields of a record, which note what is wrong."""
    found: dict[str, FetchedFile] = {}
    for entry in fields.each("weights") if fields.has("weights") else ():
        one = _fetched(entry)
        if one.name and one.name in found:
            entry.note("file", f"`{one.name}` is listed twice")
        found[one.name] = one
    return tuple(sorted(found.values(), key=lambda one: one.name))


def _fetched(fields: Fields) -> FetchedFile:
    has_url, has_path = fields.has("url"), fields.has("path")
    if has_url == has_path:
        found = "both" if has_url else "neither"
        fields.note("url", f"expected either `url` or `path`, found {found}")
    fetched = FetchedFile(
        name=fields.text("file", _FILE_NAME),
        sha256=fields.text("sha256", SHA256),
        size_bytes=fields.integer("size_bytes", low=1, high=_LARGEST_BYTES),
        url=fields.text("url", _URL) if has_url else None,
        path=fields.text("path", _SOURCE_PATH) if has_path else None,
    )
    fields.close()
    return fetched

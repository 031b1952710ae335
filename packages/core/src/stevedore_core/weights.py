"""Recording the sha256 of weights when they are trained, and checking it when they are loaded.

`train.py` calls `record_weights`; `ModelPackage` reads the record back.
"""

import hashlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stevedore_core.errors import DocumentInvalid, WeightsMismatch
from stevedore_core.fetched_files import FetchedFile, digest_of, read_fetched

__all__ = ["RECORD", "WeightsRecord", "record_weights"]

RECORD = "weights.toml"


def record_weights(
    directory: Path,
    filenames: Iterable[str],
    *,
    created: datetime,
    fetched: Iterable[FetchedFile] = (),
) -> None:
    """Write `weights.toml` beside the weights: when they were trained and the sha256 of each file.

    Args:
        directory: Where the files lie.
        filenames: Their names.
        created: When training ended; must know its time zone.
        fetched: Files that are too large for the package, and where they are fetched from.

    Raises:
        ValueError: `created` does not know its time zone.
    """
    record = WeightsRecord(
        directory=directory,
        created=_utc(created).isoformat(timespec="seconds"),
        sha256={name: _sha256(directory / name) for name in filenames},
        fetched={file.name: file for file in fetched},
    )
    (directory / RECORD).write_text(record.text, encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRecord:
    """What `weights.toml` in `directory` says: creation time (ISO 8601, UTC), sha256 by name.

    `fetched` are the files, by name, that the package does not hold.
    """

    directory: Path
    created: str
    sha256: Mapping[str, str]
    fetched: Mapping[str, FetchedFile] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> "WeightsRecord":
        """Read the record.

        Raises:
            WeightsMismatch: It is missing or cannot be understood.
        """
        try:
            content = (directory / RECORD).read_bytes()
        except FileNotFoundError:
            raise WeightsMismatch(
                f"`{RECORD}` is missing: run `train.py`, which writes it"
            ) from None
        return cls.parse(content, directory=directory)

    @classmethod
    def parse(cls, content: bytes, *, directory: Path) -> "WeightsRecord":
        """Read a record that was found elsewhere; `directory` is where its files would lie.

        Raises:
            WeightsMismatch: It cannot be understood.
        """
        try:
            table = tomllib.loads(content.decode("utf-8"))
            created = _utc(table["created"]).isoformat(timespec="seconds")
            sha256 = dict(table["sha256"])
        except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise WeightsMismatch(
                f"`{RECORD}` needs `created` (a date and time) and a table `[sha256]`: {error}"
            ) from error
        try:
            fetched = {file.name: file for file in read_fetched(table, file=f"`{RECORD}`")}
        except DocumentInvalid as error:
            raise WeightsMismatch(str(error)) from None
        if twice := sorted(fetched.keys() & sha256.keys()):
            raise WeightsMismatch(
                f"`{RECORD}`: `{twice[0]}` is in `[sha256]`, as a file of the package, and in "
                "`[[weights]]`, as one that is fetched; remove one of the two"
            )
        return cls(directory=directory, created=created, sha256=sha256, fetched=fetched)

    @property
    def text(self) -> str:
        """The record as a file has it."""
        created = self.created.removesuffix("+00:00") + "Z"
        lines = [f'"{name}" = "{self.sha256[name]}"\n' for name in sorted(self.sha256)]
        tables = [f"\n{self.fetched[name].text}" for name in sorted(self.fetched)]
        head = f"# Written by train.py.\ncreated = {created}\n\n[sha256]\n"
        return head + "".join(lines + tables)

    @property
    def fetched_digest(self) -> str:
        """The digest of all files that are fetched: the name of their directory in a layout."""
        return digest_of(self.fetched.values())

    def verified(self, filename: str, *, fetched_into: Path | None = None) -> Path:
        """Return the path of `filename`, once its content is known to be the recorded one.

        A file that is fetched may lie beside the record, as it does where it was trained, or in
        the directory `fetched_into`.

        Raises:
            WeightsMismatch: It is missing, not recorded, a link, or has another sha256.
        """
        fetched = self.fetched.get(filename)
        expected = self.sha256.get(filename) if fetched is None else fetched.sha256
        if expected is None:
            raise WeightsMismatch(f"`{filename}` is not among the files that `{RECORD}` records")
        path = self.directory / filename
        if fetched is not None and not path.exists():
            path = self._fetched_path(fetched, fetched_into)
        try:
            found = _sha256(path)
        except OSError as error:
            raise WeightsMismatch(f"`{filename}` cannot be read: {error.strerror}") from error
        if found != expected:
            raise WeightsMismatch(
                f"`{filename}` is not the recorded file: expected sha256 {expected}, found {found}"
            )
        return path

    def _fetched_path(self, fetched: FetchedFile, directory: Path | None) -> Path:
        """Return where a file was fetched to; a wrong size is told without reading it."""
        path = None if directory is None else directory / fetched.name
        if path is None or not path.exists():
            raise WeightsMismatch(
                f"`{fetched.name}` is not here: it is no part of the package, and is fetched when "
                "a layout or an image is made; load the model from one of those, such as `make "
                "serve` makes"
            )
        found_bytes = path.stat().st_size
        if found_bytes != fetched.size_bytes:
            raise WeightsMismatch(
                f"`{fetched.name}` is not the recorded file: expected {fetched.size_bytes} bytes, "
                f"found {found_bytes}"
            )
        return path


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:  # it would mean another moment on each machine
        raise ValueError(f"expected a time with its zone, found {time.isoformat()}")
    return time.astimezone(UTC)


def _sha256(path: Path) -> str:
    # A link could point outside the package.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Recording the sha256 of weights when they are trained, and checking it when they are loaded.

`train.py` calls `record_weights`; `ModelPackage` reads the record back.
"""

import hashlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stevedore_core.errors import WeightsMismatch

__all__ = ["RECORD", "WeightsRecord", "record_weights"]

RECORD = "weights.toml"


def record_weights(directory: Path, filenames: Iterable[str], *, created: datetime) -> None:
    """Write `weights.toml` beside the weights: when they were trained and the sha256 of each file.

    Args:
        directory: Where the files lie.
        filenames: Their names.
        created: When training ended; must know its time zone.

    Raises:
        ValueError: `created` does not know its time zone.
    """
    utc = _utc(created).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [f'"{name}" = "{_sha256(directory / name)}"\n' for name in sorted(filenames)]
    text = f"# Written by train.py.\ncreated = {utc}\n\n[sha256]\n{''.join(lines)}"
    (directory / RECORD).write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRecord:
    """What `weights.toml` in `directory` says: creation time (ISO 8601, UTC), sha256 by name."""

    directory: Path
    created: str
    sha256: Mapping[str, str]

    @classmethod
    def read(cls, directory: Path) -> "WeightsRecord":
        """Read the record.

        Raises:
            WeightsMismatch: It is missing or cannot be understood.
        """
        path = directory / RECORD
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            created = _utc(table["created"]).isoformat(timespec="seconds")
            return cls(directory=directory, created=created, sha256=dict(table["sha256"]))
        except FileNotFoundError:
            raise WeightsMismatch(
                f"`{RECORD}` is missing: run `train.py`, which writes it"
            ) from None
        except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise WeightsMismatch(
                f"`{RECORD}` needs `created` (a date and time) and a table `[sha256]`: {error}"
            ) from error

    def verified(self, filename: str) -> Path:
        """Return the path of `filename`, once its content is known to be the recorded one.

        Raises:
            WeightsMismatch: It is missing, not recorded, a link, or has another sha256.
        """
        expected = self.sha256.get(filename)
        if expected is None:
            raise WeightsMismatch(f"`{filename}` is not among the files that `{RECORD}` records")
        path = self.directory / filename
        try:
            found = _sha256(path)
        except OSError as error:
            raise WeightsMismatch(f"`{filename}` cannot be read: {error.strerror}") from error
        if found != expected:
            raise WeightsMismatch(
                f"`{filename}` is not the recorded file: expected sha256 {expected}, found {found}"
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

"""What a wheel of ours may hold: its own package, as paths that mean the same file everywhere.

`building` asks for every wheel that is built or taken. It is unpacked on machines whose file
systems differ, and its layer becomes a tar.
"""

import configparser
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from rich.filesize import decimal

from stevedore_build.errors import WorkspaceInvalid
from stevedore_core.errors import WeightsMismatch
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.model_package import GROUP
from stevedore_core.weights import RECORD, WeightsRecord

__all__ = ["fetched_by", "refuse_foreign_files", "refuse_large_file", "refuse_other_entry_points"]

_MOST_TOLD: Final = 10
"""Wrong paths that one message lists."""

_MOST_FILES: Final = 65_535
"""As many as a wheel's table of contents counts without an extension."""

_LARGEST_BYTES: Final = 50_000_000
"""Of one file in a model package: what is larger belongs neither in a wheel nor in git."""

_LONGEST: Final = 200
"""Characters of a path, so that it stays below the 260 of Windows wherever it is unpacked."""

_PART: Final = re.compile(r"[A-Za-z0-9_.+@=,~()\[\]{}!#$%&'^ -]*[A-Za-z0-9_+@=~)\]}!#$%&'^-]")
"""What may stand between two slashes: printable ASCII; no dot or space at the end."""

_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, with any ending."""


def refuse_foreign_files(where: str, import_name: str, wheel: Path) -> None:
    """Refuse what would reach outside the package once it is on an import path."""
    with zipfile.ZipFile(wheel) as archive:
        if problems := list(islice(_path_problems(archive.infolist()), _MOST_TOLD)):
            raise WorkspaceInvalid(f"{where}: its wheel cannot be unpacked: {'; '.join(problems)}")
        names = archive.namelist()
        infos = {name.split("/", 1)[0] for name in names if ".dist-info/" in name}
        own = {import_name, *(infos if len(infos) == 1 else ())}
        for name in names:
            if name.endswith(".pth"):
                raise WorkspaceInvalid(
                    f"{where}: its wheel holds `{name}`; a `.pth` file runs code in "
                    "every process, remove it"
                )
            if name.split("/", 1)[0] not in own:
                raise WorkspaceInvalid(
                    f"{where}: its wheel holds `{name}`, outside of "
                    f"`{import_name}/`; move it there or leave it out"
                )


def refuse_large_file(where: str, model: str, size_bytes: int) -> None:
    """Refuse a file of a model package that is too large for one, and say how to declare it."""
    if size_bytes > _LARGEST_BYTES:
        raise WorkspaceInvalid(
            f"{where}: has {decimal(size_bytes)}; a file of more than {decimal(_LARGEST_BYTES)} "
            "belongs neither in a wheel nor in git: take it out of git with `git rm --cached`, and "
            "record where it is fetched from with "
            f"`ml-stevedore declare-weights {model} <file> --url https://…`"
        )


def fetched_by(where: str, wheel: Path) -> tuple[FetchedFile, ...]:
    """Return what the record in a wheel says is fetched; nothing where it has no record.

    Raises `WorkspaceInvalid` for a record that cannot be understood.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.count("/") == 2 and name.endswith(f"/weights/{RECORD}"):  # noqa: PLR2004
                try:
                    record = WeightsRecord.parse(archive.read(name), directory=Path())
                except WeightsMismatch as error:
                    raise WorkspaceInvalid(f"{where}: {error}") from None
                return tuple(record.fetched.values())
    return ()


def refuse_other_entry_points(where: str, model: str, wheel: Path) -> None:
    """Refuse a model package that does not provide exactly the model it is named after."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".dist-info/entry_points.txt"):
                parser.read_string(archive.read(name).decode())
    found = sorted(parser[GROUP]) if parser.has_section(GROUP) else []
    if found != [model]:
        listed = ", ".join(f"`{name}`" for name in found) or "none"
        raise WorkspaceInvalid(
            f"{where}: expected exactly one entry, `{model}`, as the folder is named; "
            f"found {listed}"
        )


def _path_problems(entries: Iterable[zipfile.ZipInfo]) -> Iterator[str]:
    """Yield what is wrong with the files of a wheel; nothing if it can be unpacked anywhere."""
    found = tuple(entries)
    if len(found) > _MOST_FILES:
        yield f"expected at most {_MOST_FILES} files, found {len(found)}"
        return
    seen: dict[str, str] = {}
    for entry in found:
        path = entry.filename
        mode = stat.S_IFMT(entry.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            yield f"`{_shown(path)}` is no regular file"
        elif reason := _reason(path.removesuffix("/") if entry.is_dir() else path):
            yield f"`{_shown(path)}` {reason}"
        elif (other := seen.setdefault(path.lower(), path)) != path:
            yield f"`{_shown(path)}` and `{_shown(other)}` are one file where case does not count"
        elif entry.orig_filename != path:
            yield f"`{_shown(path)}` is called otherwise in another place of the wheel"


def _reason(path: str) -> str | None:
    """Say why a path may not be in a wheel."""
    parts = path.split("/")
    if len(path) > _LONGEST:
        return f"has {len(path)} characters; expected at most {_LONGEST}"
    if any(part in ("", ".", "..") for part in parts):
        return "is not a plain relative path"
    if not all(_PART.fullmatch(part) for part in parts):
        return "has characters that not every file system can write"
    if any(_DEVICE.fullmatch(part) for part in parts):
        return "is the name of a device on Windows"
    return None


def _shown(path: str) -> str:
    text = path.encode("unicode_escape").decode("ascii")
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004

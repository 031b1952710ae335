"""What an installer left in a directory, put into a form that is always the same and safe to serve.

`layers` calls `tidy` on every directory of third-party distributions, `checks` reads what is there.
"""

import csv
import importlib.metadata
import io
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stevedore_build.console import notice
from stevedore_build.errors import LayerRefused
from stevedore_core.fields import normalise
from stevedore_core.model_package import GROUP

__all__ = ["Distribution", "distributions", "refuse_clashes", "set_modes", "tidy"]

_CHANGING: Final = ("uv_cache.json", "direct_url.json")
"""Files of a `.dist-info` that tell about the installation, not about the distribution."""

_RESERVED: Final = ("stevedore_core", "stevedore_api", "stevedore_build", "stevedore_model_")
_RUN_BY_SITE: Final = frozenset({"sitecustomize", "usercustomize"})
_SCRIPTS: Final = frozenset({"console_scripts", "gui_scripts"})
_IMPORTED: Final = (".py", ".pyc", ".so")
"""How a file ends that Python imports; bytecode needs no source beside it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """One installed distribution: what it is called, and its files with their recorded hashes."""

    name: str
    version: str
    info: Path
    files: Mapping[str, str]


def distributions(directory: Path) -> tuple[Distribution, ...]:
    """Return what is installed in a directory, by name."""
    return tuple(
        sorted((_read(info) for info in directory.glob("*.dist-info")), key=lambda d: d.name)
    )


def tidy(directory: Path) -> None:
    """Remove what differs from run to run or must not be served, and sort what records it."""
    for name in (".lock", "bin"):
        if (directory / name).is_dir():
            shutil.rmtree(directory / name)
        (directory / name).unlink(missing_ok=True)
    for file in sorted(directory.glob("*.pth")):
        notice(f"left out `{file.name}` of a third-party distribution: it would run at every start")
        file.unlink()
    for distribution in distributions(directory):
        for name in _CHANGING:
            (distribution.info / name).unlink(missing_ok=True)
        kept = [row for row in _rows(distribution.info) if (directory / row[0]).is_file()]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(sorted(kept))
        (distribution.info / "RECORD").write_text(text.getvalue(), encoding="utf-8")


def set_modes(directory: Path) -> None:
    """Give every file and directory a mode that no umask had a say in."""
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    directory.chmod(0o755)


def refuse_clashes(layer: str, directory: Path) -> None:
    """Raise `LayerRefused` where one distribution gets in the way of another, or of ours."""
    found = distributions(directory)
    problems = [*_clashing_files(found), *_clashing_packages(directory, found)]
    problems += [*_clashing_entry_points(found), *_reserved_names(found)]
    if problems:
        raise LayerRefused(f"layer `{layer}` cannot be served: {'; '.join(problems)}")


def _clashing_files(found: tuple[Distribution, ...]) -> Iterator[str]:
    owners: dict[str, Distribution] = {}
    for distribution in found:
        for path, sha256 in distribution.files.items():
            owner = owners.setdefault(path, distribution)
            # An empty hash means that the wheel did not record the file: it may be any.
            if owner is not distribution and (owner.files[path] != sha256 or not sha256):
                yield f"`{owner.name}` and `{distribution.name}` bring different files `{path}`"


def _clashing_packages(directory: Path, found: tuple[Distribution, ...]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for distribution in found:
        for top in sorted({path.split("/", 1)[0] for path in distribution.files if "/" in path}):
            if _is_package(directory / top):
                owner = owners.setdefault(top, distribution.name)
                if owner != distribution.name:
                    yield f"`{owner}` and `{distribution.name}` both fill the package `{top}`"


def _clashing_entry_points(found: tuple[Distribution, ...]) -> Iterator[str]:
    owners: dict[tuple[str, str], str] = {}
    for distribution in found:
        try:
            points = importlib.metadata.Distribution.at(distribution.info).entry_points
        except (TypeError, ValueError):  # a line without `=`, or no UTF-8
            yield (
                f"`{distribution.name}` has an `entry_points.txt` that Python cannot read; require "
                "another version of it"
            )
            continue
        for point in points:
            group, name = point.group, point.name
            if group in _SCRIPTS:
                continue
            if group == GROUP:
                yield f"`{distribution.name}` offers a model `{name}`; only model packages may"
            owner = owners.setdefault((group, name), distribution.name)
            if owner != distribution.name:
                yield (
                    f"`{owner}` and `{distribution.name}` both offer `{name}` "
                    f"in the entry points `{group}`"
                )


def _reserved_names(found: tuple[Distribution, ...]) -> Iterator[str]:
    for distribution in found:
        for top in sorted({path.split("/", 1)[0] for path in distribution.files}):
            name = top.partition(".")[0]
            if top.startswith(_RESERVED):
                yield f"`{distribution.name}` brings `{top}`, a name that is ours"
            elif not _is_module(top, distribution):
                continue
            elif name in _RUN_BY_SITE:
                yield f"`{distribution.name}` brings `{top}`, which would run at every start"
            elif name in sys.stdlib_module_names:
                yield f"`{distribution.name}` brings `{top}`, a name of the standard library"


def _is_module(top: str, distribution: Distribution) -> bool:
    """Tell whether what stands at the top of a directory can be imported in place of another."""
    return (top.endswith(_IMPORTED) and top in distribution.files) or _is_package(
        distribution.info.parent / top
    )


def _is_package(directory: Path) -> bool:
    """Tell whether Python imports a directory as a package, be it source, bytecode or compiled."""
    return any(file.name.endswith(_IMPORTED) for file in directory.glob("__init__.*"))


def _read(info: Path) -> Distribution:
    name, version = info.name.removesuffix(".dist-info").split("-", 1)
    files = {row[0]: row[1] for row in _rows(info)}
    return Distribution(name=normalise(name), version=version, info=info, files=files)


def _rows(info: Path) -> list[list[str]]:
    with (info / "RECORD").open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.reader(stream) if row]

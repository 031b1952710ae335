"""The frameworks that a model package can be made for, found by their directories in the template.

`models` renders with them, `fitted_files` tells them apart.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from stevedore_build.errors import ScaffoldRefused
from stevedore_core.fields import quote

__all__ = ["TEMPLATE", "Framework", "find_framework", "frameworks"]

TEMPLATE: Final = Path(__file__).parents[1] / "templates" / "model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """What makes and runs a model."""

    name: str
    title: str
    """As people write it."""
    weights: str
    """The name of its file of weights in a model package."""
    suffixes: tuple[str, ...]
    """How files of fitted models end."""
    version: str
    """Of the distribution that trains, where nothing else says it."""
    mark: str
    """What stands near the beginning of its files of text."""
    probe_requires: tuple[str, ...]
    """What looking into its files takes beside what its models require."""

    @property
    def directory(self) -> Path:
        """Where its part of the template lies."""
        return TEMPLATE / "frameworks" / self.name


@cache
def frameworks() -> Mapping[str, Framework]:
    """Return all frameworks by name."""
    files = sorted((TEMPLATE / "frameworks").glob("*/framework.toml"))
    return {file.parent.name: _read(file) for file in files}


def find_framework(name: str) -> Framework:
    """Return one framework. Raises `ScaffoldRefused` if there is none of that name."""
    known = frameworks()
    if name not in known:
        listed = ", ".join(f"`{framework}`" for framework in known)
        raise ScaffoldRefused(f"there is no framework {quote(name)}; there are {listed}")
    return known[name]


def _read(file: Path) -> Framework:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return Framework(
        name=file.parent.name,
        title=table["title"],
        weights=table["weights"],
        suffixes=tuple(table["suffixes"]),
        version=table["version"],
        mark=table.get("mark", ""),
        probe_requires=tuple(table.get("probe", ())),
    )

"""The packages and compositions of a workspace, found by their files, never by a list.

A workspace is this repository, or one that `ml-stevedore init` wrote.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.store import Store
from stevedore_core.fields import NAME, normalise, quote
from stevedore_core.spelling import closest

__all__ = [
    "CACHE_VARIABLE",
    "MODEL_PREFIX",
    "OWN_PINS",
    "OWN_PREFIX",
    "Package",
    "Workspace",
    "declared_version",
    "is_own",
    "version_in",
]

CACHE_VARIABLE = "STEVEDORE_WEIGHTS_CACHE"
"""Names a directory where several checkouts keep fetched weights together."""

OWN_PREFIX = "ml-py-stevedore-"
MODEL_PREFIX = "stevedore-model-"

OWN_PINS: Final = Path("requirements", "stevedore.txt")
"""Which core, api and build a workspace uses that does not have them below `packages/`."""

_CORE: Final = Path("packages", "core", "pyproject.toml")

_VERSION = re.compile(r"^__version__ = [\"']([^\"']+)[\"']", re.MULTILINE)


def is_own(distribution: str) -> bool:
    """Tell whether a distribution's name is one of ours, which no index may ever provide."""
    return normalise(distribution).startswith((OWN_PREFIX, MODEL_PREFIX))


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One hatch package of this repository."""

    folder: str
    """`core`, `api`, `build`, or the model's name."""
    distribution: str
    import_name: str
    directory: Path
    backend: str
    """The pinned build backend, such as `hatchling==1.33.0`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """A directory with models and compositions, in git."""

    root: Path

    @classmethod
    def around(cls, place: Path) -> "Workspace":
        """Return the workspace that holds `place`. Raises `WorkspaceInvalid` outside of one."""
        for candidate in (place, *place.parents):
            if any((candidate / mark).is_file() for mark in (_CORE, OWN_PINS)):
                return cls(root=candidate)
        raise WorkspaceInvalid(
            f"{place}: not inside a workspace of ML-Py-Stevedore (no directory above it has "
            f"`{_CORE.as_posix()}` or `{OWN_PINS.as_posix()}`); change into one, or make one in an "
            "empty directory with `ml-stevedore init`"
        )

    @property
    def store(self) -> Store:
        """Where this workspace keeps generated things."""
        return Store(root=self.root / ".stevedore", shared_weights=_shared_weights())

    def packages(self) -> tuple[Package, ...]:
        """Return core, api, build and whatever else is under `packages/`."""
        return self._found("packages", OWN_PREFIX, "stevedore_")

    def shared_packages(self) -> tuple[Package, Package] | None:
        """Return core and api, `None` if this workspace pins their wheels instead."""
        if not (self.root / _CORE).is_file():
            return None
        return self.package("core"), self.package("api")

    def models(self) -> tuple[Package, ...]:
        """Return the model packages."""
        return self._found("models", MODEL_PREFIX, "stevedore_model_")

    def package(self, folder: str) -> Package:
        """Return the package under `packages/` that lives in `folder`."""
        return _pick(folder, self.packages(), "packages")

    def model(self, name: str) -> Package:
        """Return the model package of one model."""
        return _pick(name, self.models(), "models")

    def compositions(self) -> tuple[str, ...]:
        """Return the names of the compositions."""
        manifests = sorted((self.root / "compositions").glob("*/composition.toml"))
        if not manifests:
            raise WorkspaceInvalid(
                f"{self.root / 'compositions'}: no composition found; "
                'make one with `make new-composition NAME=… MODELS="…"`'
            )
        return tuple(manifest.parent.name for manifest in manifests)

    def composition(self, name: str) -> Path:
        """Return the directory of one composition."""
        known = self.compositions()
        if name not in known:
            hint = _hint(name, known, f'`make new-composition NAME={name} MODELS="…"`')
            raise WorkspaceInvalid(f"`compositions/{name}/composition.toml` does not exist; {hint}")
        return self.root / "compositions" / name

    def _found(self, parent: str, prefix: str, import_prefix: str) -> tuple[Package, ...]:
        projects = sorted((self.root / parent).glob("*/pyproject.toml"))
        if not projects:
            raise WorkspaceInvalid(
                f"{self.root / parent}: no package found; each is `{parent}/<name>/pyproject.toml`"
                + ("; make one with `make new-model NAME=…`" if parent == "models" else "")
            )
        packages = tuple(_package(project, prefix, import_prefix) for project in projects)
        folders: dict[str, str] = {}
        for package in packages:
            other = folders.setdefault(normalise(package.folder), package.folder)
            if other != package.folder:
                raise WorkspaceInvalid(
                    f"{self.root / parent}: `{other}` and `{package.folder}` are the same name, "
                    "`-` and `_` count as one; rename one of them"
                )
        return packages


def declared_version(read: Callable[[str], str]) -> str | None:
    """Return the version that a package's files say, `None` if they do not.

    `read` gives the text of a file, named from the package's directory; empty if it is not there.
    """
    try:
        document = tomllib.loads(read("pyproject.toml"))
        version = document["project"].get("version")
        if version is None:
            match = _VERSION.search(read(document["tool"]["hatch"]["version"]["path"]))
            version = match[1] if match else None
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        return None
    return version if isinstance(version, str) else None


def version_in(directory: Path) -> str | None:
    """Return the version that the files of a package in `directory` say, `None` if they do not."""

    def read(path: str) -> str:
        file = directory / path
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    return declared_version(read)


def _shared_weights() -> Path | None:
    named = os.environ.get(CACHE_VARIABLE)
    if not named:
        return None
    if not Path(named).is_absolute():
        raise WorkspaceInvalid(
            f"`{CACHE_VARIABLE}`: expected the absolute path of a directory, found {quote(named)}"
        )
    return Path(named)


def _package(project: Path, prefix: str, import_prefix: str) -> Package:
    folder = project.parent.name
    if not NAME.accepts(folder):
        raise WorkspaceInvalid(f"{project.parent}: expected {NAME.expected}, found `{folder}`")
    try:
        document = tomllib.loads(project.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkspaceInvalid(f"{project}: not TOML: {error}") from None
    distribution, expected = _at(document, "project", "name"), prefix + normalise(folder)
    if distribution != expected:
        raise WorkspaceInvalid(
            f"{project}: `project.name`: expected `{expected}`, as the folder is `{folder}`, "
            f"found {quote(distribution)}{_astray(document, 'project', 'name')}"
        )
    import_name = import_prefix + normalise(folder).replace("-", "_")
    if not (project.parent / "src" / import_name / "__init__.py").is_file():
        raise WorkspaceInvalid(
            f"{project.parent}: expected `src/{import_name}/__init__.py`, found no such file"
        )
    return Package(
        folder=folder,
        distribution=expected,
        import_name=import_name,
        directory=project.parent,
        backend=_backend(project, document),
    )


def _backend(project: Path, document: dict[str, object]) -> str:
    requires = _at(document, "build-system", "requires")
    match requires:
        case [str(pin)] if pin.startswith("hatchling=="):
            return pin
    raise WorkspaceInvalid(
        f"{project}: `build-system.requires`: expected one exact pin of hatchling, such as "
        f"`hatchling==1.33.0`, found {quote(requires)}"
        f"{_astray(document, 'build-system', 'requires')}"
    )


def _astray(document: dict[str, object], table: str, key: str) -> str:
    """Say by what name a key that is not found may stand in a document; nothing if it is there."""
    found: object = document
    for name in (table, key):
        if not isinstance(found, dict):
            return f"; `{table}` must be a table"
        if name not in found:
            near = closest(name, [other for other in found if other != "tool"])
            return f"; did you mean `{name}` by `{near}`?" if near else ""
        found = found[name]
    return ""


def _at(document: dict[str, object], table: str, key: str) -> object:
    entries = document.get(table)
    return entries.get(key) if isinstance(entries, dict) else None


def _pick(folder: str, packages: tuple[Package, ...], parent: str) -> Package:
    known = {package.folder: package for package in packages}
    if folder not in known:
        hint = _hint(folder, known, f"`make new-model NAME={folder}`")
        raise WorkspaceInvalid(f"`{parent}/{folder}` is no package; {hint}")
    return known[folder]


def _hint(name: str, known: Iterable[str], making: str) -> str:
    """Say which known name may be meant; where none is near, how to make one of that name."""
    names = sorted(known)
    if near := closest(name, names):
        return f"did you mean `{near}`?"
    there = "there are " + ", ".join(f"`{item}`" for item in names)
    return f"{there}; {making} makes it" if NAME.accepts(name) else there

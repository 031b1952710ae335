"""Byte-reproducible wheels of this repository's packages, built from the files git tracks.

`locks.locking` records their sha256, `layouts.layers` unpacks them.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from stevedore_build.console import notice, step
from stevedore_build.digests import sha256_of, sha256_of_all
from stevedore_build.errors import ToolFailed, WorkspaceInvalid
from stevedore_build.processes import git, run
from stevedore_build.store import Store
from stevedore_build.wheels.contents import (
    fetched_by,
    refuse_foreign_files,
    refuse_large_file,
    refuse_other_entry_points,
)
from stevedore_build.wheels.model_files import refuse_faulty_files
from stevedore_build.workspace import MODEL_PREFIX, OWN_PREFIX, Package, Workspace
from stevedore_core.fields import normalise
from stevedore_core.lock import LockedModel, LockedWheel
from stevedore_core.model_package import GROUP

__all__ = [
    "OwnWheel",
    "OwnWheels",
    "build_exported",
    "build_wheels",
    "copy_wheel",
    "refuse_other_content",
    "stored_wheel",
    "take_shared_wheel",
    "take_wheel",
    "taken_wheel",
]

_FORMAT = "wheel 1"
"""Changes when the same files would give another wheel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnWheel:
    """A built wheel of one package of this repository, with what its metadata says."""

    distribution: str
    version: str
    requires: tuple[str, ...]
    sha256: str
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnWheels:
    """All wheels of ours that a composition consists of."""

    core: OwnWheel
    api: OwnWheel
    models: Mapping[tuple[str, str], OwnWheel]
    """By the model's name and version."""

    def __iter__(self) -> Iterator[OwnWheel]:
        """Go through all of them: core, api, then the models."""
        yield from (self.core, self.api, *self.models.values())


def build_wheels(
    packages: Iterable[Package], *, workspace: Workspace, store: Store
) -> Mapping[str, OwnWheel]:
    """Return a wheel of every package, by distribution; only changed ones are built.

    Raises `WorkspaceInvalid` for a package without tracked files or whose wheel must not be
    shipped.
    """
    wanted = tuple(packages)
    if not wanted:
        return {}  # git would take no place for every place
    found = {
        source: _stored(_receipt(source, store), store) for source in _tracked(wanted, workspace)
    }
    missing = [source for source, wheel in found.items() if wheel is None]
    if missing:
        for source in missing:
            if source.is_model:
                refuse_faulty_files(source.package)
        with (
            step("Building wheels of " + ", ".join(f"`{s.package.folder}`" for s in missing)),
            ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        ):
            built = pool.map(lambda source: _build(source, store), missing)
            found |= zip(missing, built, strict=True)
    return {wheel.distribution: wheel for wheel in found.values() if wheel}


def build_exported(package: Package, *, store: Store) -> OwnWheel:
    """Return the wheel of a package whose directory holds its tracked files and nothing else."""
    directory = package.directory
    files = tuple(
        sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file())
    )
    source = _source(package, files)
    return _stored(_receipt(source, store), store) or _build(source, store)


def take_wheel(file: Path, *, model: str, version: str, store: Store) -> OwnWheel:
    """Take a wheel of a model package that was built elsewhere into the store.

    Raises `WorkspaceInvalid` if it is another one, or must not be shipped.
    """
    distribution = MODEL_PREFIX + normalise(model)
    with _reading(file):
        refuse_foreign_files(str(file), distribution.replace("-", "_"), file)
        refuse_other_entry_points(str(file), model, file)
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                refuse_large_file(f"{file}: `{entry.filename}`", model, entry.file_size)
        fetched_by(str(file), file)
    return _take(file, distribution=distribution, version=version, store=store)


def take_shared_wheel(file: Path, *, folder: str, version: str, store: Store) -> OwnWheel:
    """Take a wheel of core or api that was built elsewhere into the store.

    Raises `WorkspaceInvalid` if it is another one, or must not be shipped.
    """
    with _reading(file):
        refuse_foreign_files(str(file), f"stevedore_{folder}", file)
    return _take(file, distribution=OWN_PREFIX + folder, version=version, store=store)


def taken_wheel(sha256: str, *, store: Store) -> OwnWheel | None:
    """Return the wheel with a sha256 if it was taken into the store before."""
    return _stored(_taken_receipt(sha256, store), store)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise WorkspaceInvalid(f"{file}: cannot be read as a wheel: {error}") from None


def _take(file: Path, *, distribution: str, version: str, store: Store) -> OwnWheel:
    with _reading(file):
        found = _metadata(file)
    if (found["distribution"], found["version"]) != (distribution, version):
        raise WorkspaceInvalid(
            f"{file}: expected `{distribution}` {version}, found `{found['distribution']}` "
            f"{found['version']}; remove the file"
        )
    return _keep(file, found, store)


def stored_wheel(locked: LockedWheel | LockedModel, *, store: Store) -> Path:
    """Return the path of a wheel built earlier. Raises `WorkspaceInvalid` if it is not there."""
    for path in (store.wheels / locked.sha256).glob("*.whl"):
        return path
    raise WorkspaceInvalid(
        f"`{locked.distribution}` {locked.version} is locked with sha256 `{locked.sha256}`, and "
        "this workspace builds another wheel; run `make lock`, or check out the commit that was "
        "locked"
    )


def refuse_other_content(wheel: Path) -> None:
    """Raise `WorkspaceInvalid` unless a stored wheel has the sha256 that its directory names."""
    expected, found = wheel.parent.name, sha256_of(wheel)
    if found != expected:
        raise WorkspaceInvalid(
            f"{wheel}: expected sha256 `{expected}`, found `{found}`: the file was changed after "
            "it was stored; remove it, and it is made anew"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """A package with its tracked files, relative to it, and the digest of their content."""

    package: Package
    files: tuple[str, ...]
    digest: str

    @property
    def is_model(self) -> bool:
        return self.package.distribution.startswith(MODEL_PREFIX)


def _source(package: Package, files: tuple[str, ...]) -> _Source:
    head = f"{_FORMAT}\0{package.backend}\0"
    digest = sha256_of_all(package.directory, files, head=head)
    return _Source(package=package, files=files, digest=digest)


def _tracked(packages: tuple[Package, ...], workspace: Workspace) -> Iterator[_Source]:
    places = [str(package.directory.relative_to(workspace.root)) for package in packages]
    tracked = git("ls-files", "-z", "--", *places, cwd=workspace.root).split("\0")
    others = git(
        "ls-files", "-z", "--others", "--exclude-standard", "--", *places, cwd=workspace.root
    ).split("\0")
    for package, place in zip(packages, places, strict=True):
        files = _under(place, tracked)
        present = tuple(file for file in files if (package.directory / file).is_file())
        if not present:
            raise WorkspaceInvalid(
                f"{package.directory}: git tracks no file of it, and wheels are built from "
                f"tracked files; run `git add {place}`"
            )
        left_out = [file for file in _under(place, others) if file.startswith("src/")]
        if left_out:
            listed = ", ".join(f"`{place}/{file}`" for file in left_out)
            notice(f"left out of the wheel, as git does not track it: {listed}; `git add` it")
        yield _source(package, present)


def _under(place: str, files: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(f.removeprefix(f"{place}/") for f in files if f.startswith(f"{place}/")))


def _receipt(source: _Source, store: Store) -> Path:
    return store.wheels / "built" / f"{source.digest}.json"


def _taken_receipt(sha256: str, store: Store) -> Path:
    return store.wheels / "taken" / f"{sha256}.json"


def _build(source: _Source, store: Store) -> OwnWheel:
    package = source.package
    backend = f"hatchling=={installed_version('hatchling')}"
    if package.backend != backend:
        raise ToolFailed(
            f"{package.directory / 'pyproject.toml'}: pins `{package.backend}`, and `{backend}` is "
            "what `requirements/tools.txt` installs; make the two agree, then run `make tools`"
        )
    with tempfile.TemporaryDirectory() as scratch:
        copy, out = Path(scratch, "source"), Path(scratch, "out")
        for file in source.files:
            path = package.directory / file
            _refuse_link(package, file)
            if source.is_model and file.startswith("src/"):
                refuse_large_file(str(path), package.folder, path.stat().st_size)
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy / file)
        run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
            cwd=copy,
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
        )
        (built,) = out.glob("*.whl")
        refuse_foreign_files(str(package.directory), package.import_name, built)
        if source.is_model:
            project = package.directory / "pyproject.toml"
            refuse_other_entry_points(
                f'{project}: `project.entry-points."{GROUP}"`', package.folder, built
            )
            fetched_by(str(package.directory), built)
        rewritten = Path(scratch, built.name)
        _rewrite(built, rewritten)
        return _keep(rewritten, _metadata(rewritten), store, receipt=_receipt(source, store))


def _refuse_link(package: Package, file: str) -> None:
    """Refuse a file that lies elsewhere: what it leads to would be shipped."""
    path = package.directory / file
    if path.resolve() != package.directory.resolve() / file:
        raise WorkspaceInvalid(
            f"{path}: is a link or lies behind one; a wheel holds only files of its package: put "
            "the file itself there"
        )


def _keep(
    file: Path, metadata: Mapping[str, object], store: Store, *, receipt: Path | None = None
) -> OwnWheel:
    """Put a wheel into the store under its sha256, with a receipt that says what it is."""
    sha256 = copy_wheel(file, store)
    entry = {"file": f"{sha256}/{file.name}", "sha256": sha256, **metadata}
    store.write(receipt or _taken_receipt(sha256, store), json.dumps(entry))
    return _own_wheel(entry, store)


def copy_wheel(wheel: Path, store: Store) -> str:
    """Put a wheel into a store under the sha256 of what is put there, and return that."""
    content = wheel.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    with store.replacing(store.wheels / sha256 / wheel.name) as draft:
        draft.write_bytes(content)
    return sha256


def _stored(receipt: Path, store: Store) -> OwnWheel | None:
    """Return the wheel that a receipt names, `None` if either is not there."""
    if not receipt.is_file():
        return None
    wheel = _own_wheel(json.loads(receipt.read_text(encoding="utf-8")), store)
    return wheel if wheel.path.is_file() else None


def _own_wheel(entry: Mapping[str, Any], store: Store) -> OwnWheel:
    return OwnWheel(
        distribution=entry["distribution"],
        version=entry["version"],
        requires=tuple(entry["requires"]),
        sha256=entry["sha256"],
        path=store.wheels / entry["file"],
    )


def _rewrite(wheel: Path, to: Path) -> None:
    """Write the same files sorted, uncompressed, with one date and one mode.

    Compression is left out because its output varies with the zlib that Python was built with.
    """
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as new:
        for name in sorted(old.namelist()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            new.writestr(entry, old.read(name))


def _metadata(wheel: Path) -> dict[str, object]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        message = HeaderParser().parsestr(archive.read(name).decode())
    return {
        "distribution": normalise(message["Name"]),
        "version": message["Version"],
        "requires": message.get_all("Requires-Dist") or [],
    }

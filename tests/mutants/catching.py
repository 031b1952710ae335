"""Which check refuses a mutant, and in what words. Nothing here makes a layout or an image.

`mutant_table` counts what comes of it. The checks are asked in the order in which people meet them:
files are read, a lock is made, the suite is run, scores are held against the manifest.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import tiny
from mutants import ROOT, Mutant

from stevedore_build.checks.gates import refuse_shortfalls
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.wheels.model_files import refuse_faulty_files
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Package, Workspace, version_in
from stevedore_core.errors import StevedoreError
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest, ModelPin
from stevedore_core.requirements_files import parse_pins
from stevedore_core.scores import Score

__all__ = ["Catch", "Room"]

_HIDDEN: Final = shutil.ignore_patterns("__pycache__", ".*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Catch:
    """What came of a mutant: which check refused it, and what it said. Neither, if none did."""

    by: str = ""
    message: str = ""

    def lacks(self, mutant: Mutant) -> str:
        """Say what is missing in a message; nothing if it names file, key and a suggestion."""
        if not self.by:
            return "not caught"
        if mutant.file.name not in self.message:
            return "no file"
        if mutant.keys and not any(key in self.message for key in mutant.keys):
            return "no key"
        return "" if any(hint in self.message for hint in mutant.hints) else "no suggestion"


class Room:
    """A clone of this repository, in which one file at a time is a mutant.

    uv sees only an index of empty distributions that have the names and versions of our locks.
    """

    def __init__(self, place: Path, patch: pytest.MonkeyPatch, root: Path = ROOT) -> None:
        """Clone, and put over it what is not committed yet."""
        self._root = place / "repository"
        clone = ["git", "clone", "--quiet", "--shared", str(root), str(self._root)]
        subprocess.run(clone, check=True)
        for part in ("packages", "models", "compositions"):
            shutil.rmtree(self._root / part)
            shutil.copytree(root / part, self._root / part, ignore=_HIDDEN)
        tiny.track(self._root)
        tiny.offline(patch, index=_index(place / "index", root), cache=place / "uv-cache")
        self.workspace = Workspace(root=self._root)
        self._locks = {m.name: lock for lock in self._read_locks() for m in lock.models}
        self._packages = {package.folder: package for package in self.workspace.models()}

    def catch(self, mutant: Mutant) -> Catch:
        """Ask the checks one after the other, until one refuses."""
        with self._changed(mutant):
            for by, ask in self._checks(mutant):
                try:
                    ask()
                except StevedoreError as error:
                    return Catch(by=by, message=str(error).replace(f"{self._root}/", ""))
        return Catch()

    def _checks(self, mutant: Mutant) -> Iterator[tuple[str, Callable[[], object]]]:
        if mutant.kind == "manifests":
            yield "manifest", lambda: self._manifest(mutant)
            if mutant.file.suffix != ".toml":
                return
            yield "lock", lambda: wheels_of(self._manifest(mutant), workspace=self.workspace)
            yield "scores", lambda: refuse_shortfalls(self._manifest(mutant), self._scores(mutant))
            return
        yield "files", lambda: refuse_faulty_files(self._package(mutant))
        if mutant.kind == "projects":
            yield "lock", lambda: self._lock_alone(mutant)

    def _read_locks(self) -> Iterator[Lock]:
        for name in self.workspace.compositions():
            yield Lock.read(self.workspace.composition(name))

    def _manifest(self, mutant: Mutant) -> Manifest:
        return Manifest.from_text((mutant.content or b"").decode(), file=str(mutant.file))

    def _scores(self, mutant: Mutant) -> Callable[[ModelPin], list[Score]]:
        """Return scores as the shipped manifest demands them, whatever is pinned."""
        shipped = Manifest.parse(ROOT / mutant.file)
        names = {pin.name: pin.min_score for pin in shipped.models}
        return lambda pin: [Score(name=name, value=v) for name, v in names[pin.name].items()]

    def _lock_alone(self, mutant: Mutant) -> None:
        name = mutant.file.parts[1]
        version = version_in(self.workspace.model(name).directory) or ""
        manifest = Manifest.of_model(name, version=version, python="3.11")
        wheels = wheels_of(manifest, workspace=self.workspace)
        lock_manifest(manifest, wheels, previous=self._locks[name])

    def _package(self, mutant: Mutant) -> Package:
        name = mutant.file.parts[1]
        return self.workspace.model(name) if mutant.kind == "projects" else self._packages[name]

    @contextmanager
    def _changed(self, mutant: Mutant) -> Iterator[None]:
        file = self._root / mutant.file
        before = file.read_bytes()
        others = [file.parent / name for name in mutant.beside]
        try:
            file.unlink()
            if mutant.content is not None:
                file.write_bytes(mutant.content)
            for other, content in zip(others, mutant.beside.values(), strict=True):
                other.write_bytes(content)
            yield
        finally:
            for other in others:
                other.unlink()
            file.write_bytes(before)


def _index(place: Path, root: Path) -> Path:
    """Write an empty wheel for each pin of each lock."""
    for file in root.glob("compositions/*/lock/*.txt"):
        for pin in parse_pins(file.read_text(encoding="utf-8"), file=file.name):
            tiny.write_wheel(place, pin.name.replace("-", "_"), pin.version)
    return place

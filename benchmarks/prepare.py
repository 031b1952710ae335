"""What has to exist before a server starts: environments, trained models, the layout of ours.

All of it lies in `.stevedore/benchmarks` and is made again only when what it comes from changed.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.errors import ServerFailed
from benchmarks.workloads import Known
from stevedore_build.layouts.joining import make_layout
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.processes import git, uv_program
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.errors import DocumentInvalid
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = ["HERE", "ROOT", "Copy", "Preparation"]

HERE = Path(__file__).parent
ROOT = HERE.parent
_STORE = ROOT / ".stevedore" / "benchmarks"
_MODELS = HERE / "models"
_SHOWN_CHARS = 1_500


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """One of the benchmark's models, under a name of its own."""

    original: str
    name: str
    workers: int = 1
    is_batchable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """Makes what servers need, from one checkout of this repository."""

    checkout: Path
    """Where core and api are taken from, with what is not committed yet."""
    _layouts: dict[str, Layout] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        """Where the servers' output goes."""
        place = _STORE / "logs"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def environment(self, server: str) -> Path:
        """Return the Python of a server's environment, made from its locked requirements.

        Raises:
            ServerFailed: It cannot be installed here.
        """
        requirements = HERE / "requirements" / f"{server}.txt"
        place = _STORE / "environments" / f"{server}-{_digest([requirements])}"
        if not (place / ".made").is_file():
            python = str(place / "bin" / "python")
            options = ["--quiet", "--require-hashes", "-r", str(requirements)]
            _run([uv_program(), "venv", "--quiet", "--clear", "--python", "3.11", str(place)])
            _run([uv_program(), "pip", "install", "--python", python, *options])
            (place / ".made").touch()
        return place / "bin" / "python"

    def trained(self) -> Path:
        """Return the directory that holds each model's weights, examples and known answers."""
        sources = [_MODELS / "train.py", HERE / "servers" / "fitted.py"]
        sources += [HERE / "requirements" / "ceiling.txt"]
        place = _STORE / f"trained-{_digest(sources)}"
        if not place.is_dir():
            draft = place.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            core = ROOT / "packages" / "core" / "src"
            _run(
                [str(self.environment("ceiling")), "-m", "benchmarks.models.train", str(draft)],
                PYTHONPATH=os.pathsep.join([str(ROOT), str(core)]),
            )
            draft.rename(place)
        return place

    def weights(self, model: str) -> Path:
        """Return the file that every server loads."""
        return self.trained() / model / "weights" / "model.skops"

    def known(self, model: str) -> Known:
        """Return a model's instances with their answers."""
        document = json.loads((self.trained() / model / "known.json").read_text(encoding="utf-8"))
        return Known(instances=document["instances"], answers=document["answers"])

    def layout(self, models: Sequence[Copy]) -> Layout:
        """Return a layout that serves these models."""
        key = hashlib.sha256(repr((str(self.checkout), models)).encode()).hexdigest()[:16]
        if key not in self._layouts:
            self._layouts[key] = self._make_layout(key, models)
        return self._layouts[key]

    def _make_layout(self, key: str, models: Sequence[Copy]) -> Layout:
        workspace = Workspace(root=_STORE / "workspaces" / key)
        self._stage(workspace, models)
        pins = "".join(_pin(model) for model in models)
        text = f'name = "benchmark"\nversion = "1.0.0"\npython = "3.11"\n\n[models]\n{pins}'
        manifest = Manifest.from_text(text, file="composition.toml")
        previous, kept = None, workspace.root / "compositions" / "benchmark"
        with suppress(DocumentInvalid):
            previous = Lock.read(kept)
        lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace), previous=previous)
        lock.write(kept)
        return make_layout(manifest, lock, store=workspace.store)

    def _stage(self, workspace: Workspace, models: Sequence[Copy]) -> None:
        """Write a repository that holds core and api of the checkout and the models, tracked."""
        root = workspace.root
        for package in ("core", "api"):
            place = f"packages/{package}"
            listed = git(
                "ls-files", "-z", "-co", "--exclude-standard", "--", place, cwd=self.checkout
            )
            shutil.rmtree(root / place, ignore_errors=True)
            for file in filter(None, listed.split("\0")):
                if (self.checkout / file).is_file():  # else deleted, and not committed
                    (root / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self.checkout / file, root / file)
        shutil.rmtree(root / "models", ignore_errors=True)
        for model in models:
            self._copy_model(root / "models" / model.name, model)
        (root / ".gitignore").write_text(".stevedore\n__pycache__/\n", encoding="utf-8")
        if not workspace.store.root.exists():  # layers are shared with `make serve`
            workspace.store.root.symlink_to(ROOT / ".stevedore", target_is_directory=True)
        git("init", "--quiet", cwd=root)
        git("add", "--all", cwd=root)

    def _copy_model(self, place: Path, model: Copy) -> None:
        name, original = model.name, model.original
        source = _MODELS / original
        package = place / "src" / f"stevedore_model_{name}"
        shutil.copytree(
            source / "src" / f"stevedore_model_{original}",
            package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        for part in ("weights", "examples"):
            shutil.copytree(self.trained() / original / part, package / part)
        if not model.is_batchable:
            code = (package / "__init__.py").read_text(encoding="utf-8")
            changed = code.replace("batchable = True", "batchable = False")
            (package / "__init__.py").write_text(changed, encoding="utf-8")
        project = (source / "pyproject.toml").read_text(encoding="utf-8")
        renamed = (
            project.replace(f"stevedore-model-{original}", f"stevedore-model-{name}")
            .replace(f"stevedore_model_{original}", f"stevedore_model_{name}")
            .replace(f"\n{original} = ", f"\n{name} = ")
        )
        (place / "pyproject.toml").write_text(renamed, encoding="utf-8")


def _pin(model: Copy) -> str:
    workers = f", workers = {model.workers}" if model.workers > 1 else ""
    return f'{model.name} = {{ version = "1.0.0"{workers} }}\n'


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _run(command: Sequence[str], **variables: str) -> None:
    done = subprocess.run(  # noqa: S603  # ours
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerFailed(
            f"cannot be prepared here\n`{' '.join(command)}` failed:\n{done.stderr[-_SHOWN_CHARS:]}"
        )

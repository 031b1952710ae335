"""Which directory of a layout holds what. Paths only: build writes them, the front reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["IMAGE_ROOT", "Layout"]

IMAGE_ROOT = Path("/opt/stevedore")
"""Where a layout stands inside an image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One directory with everything a composition needs: on a laptop, under test, in an image."""

    root: Path

    @classmethod
    def around(cls, package: Path) -> "Layout":
        """Return the layout that has the code of a model package in the directory `package`.

        There it is `models/<name>/<version>/<import name>`. A package that was imported from
        elsewhere is in no layout: what is returned does not exist.
        """
        version = package.parent
        return cls(root=version.parent.parent.parent)

    @property
    def composition(self) -> Path:
        """The directory of the manifest and the lock."""
        return self.root / "composition"

    @property
    def manifest(self) -> Path:
        """What people asked for."""
        return self.composition / "composition.toml"

    def own(self, name: str) -> Path:
        """Return the directory of our own package `name`: `core` or `api`."""
        return self.root / "own" / name

    def environment(self, name: str) -> Path:
        """Return the directory of the third-party distributions of one environment."""
        return self.root / "environments" / name

    def model(self, name: str, version: str) -> Path:
        """Return the directory of one model package at one version."""
        return self.root / "models" / name / version

    def weights(self, digest: str) -> Path:
        """Return the directory of weights that were fetched, named by the digest of them all."""
        return self.root / "weights" / digest

    def front_path(self) -> tuple[Path, ...]:
        """Return the front's import path. No model and no environment of a worker is on it."""
        return (self.own("api"), self.own("core"), self.environment("front"))

    def worker_path(self, environment: str, models: Iterable[tuple[str, str]]) -> tuple[Path, ...]:
        """Return the import path of a worker that loads `models`, each a name and a version."""
        mine = tuple(self.model(name, version) for name, version in models)
        return (*mine, self.own("core"), self.environment(environment))

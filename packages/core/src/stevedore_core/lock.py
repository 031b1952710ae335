"""`Lock`: what a manifest resolved to. Build writes it; layouts, images and the front read it.

On disk: `lock.toml` and one hash-pinned requirements file per environment, `lock/<name>.txt`.
Neither says where anything was downloaded from.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from stevedore_core.errors import DocumentInvalid
from stevedore_core.fields import (
    DISTRIBUTION,
    IMAGE_REFERENCE,
    NAME,
    PYTHON_MINOR,
    SHA256,
    VERSION,
    Fields,
    toml_of,
)
from stevedore_core.manifest import DEFAULT_ENVIRONMENT, FRONT_ENVIRONMENT, Manifest
from stevedore_core.requirements_files import Pin, format_pins, parse_pins

__all__ = ["Environment", "Lock", "LockedModel", "LockedWheel"]

_FORMAT: Final = 2
"""The version of the format written here; another one is refused."""

_HEADER = "# Written by `make lock`. Review it, never edit it."


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """The third-party distributions that some models, or the front, share."""

    name: str
    inputs_sha256: str
    """The digest of the requirements that were resolved; while it stays, so do the pins."""
    pins: tuple[Pin, ...]

    @property
    def text(self) -> str:
        """The requirements file."""
        return f"{_HEADER}\n{format_pins(self.pins)}"

    @property
    def sha256(self) -> str:
        """The digest of the requirements file."""
        return _sha256(self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedWheel:
    """One of our own packages that the processes of a composition share."""

    distribution: str
    version: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedModel:
    """One model package. `requires` names every third-party distribution it needs, core's too."""

    name: str
    version: str
    environment: str
    distribution: str
    sha256: str
    inputs_sha256: str
    """The digest of its requirements and core's; while it and the pins stay, so does `requires`."""
    requires: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """Everything a composition consists of, with hashes.

    Several models may share a name; the first of a name is the version callers get by default.
    """

    name: str
    version: str
    python: str
    manifest_sha256: str
    base: str | None
    environments: tuple[Environment, ...]
    wheels: tuple[LockedWheel, ...]
    models: tuple[LockedModel, ...]

    @property
    def text(self) -> str:
        """The text of `lock.toml`."""
        head = {
            "format": _FORMAT,
            "name": self.name,
            "version": self.version,
            "python": self.python,
            "manifest_sha256": self.manifest_sha256,
            "base": self.base,
        }
        tables = [toml_of(head)]
        for e in self.environments:
            said = {"name": e.name, "sha256": e.sha256, "inputs_sha256": e.inputs_sha256}
            tables.append(f"[[environments]]\n{toml_of(said)}")
        tables += [f"[[wheels]]\n{toml_of(asdict(wheel))}" for wheel in self.wheels]
        tables += [f"[[models]]\n{toml_of(asdict(model))}" for model in self.models]
        return f"{_HEADER}\n" + "\n".join(tables)

    @property
    def digest(self) -> str:
        """The sha256 of `lock.toml`, which holds those of the requirements files."""
        return _sha256(self.text)

    @property
    def keys(self) -> Mapping[LockedModel, str]:
        """What reports call each model: `iris`, or `iris@1.0.0` if it is not the default."""
        keys: dict[LockedModel, str] = {}
        taken: set[str] = set()
        for model in self.models:
            keys[model] = f"{model.name}@{model.version}" if model.name in taken else model.name
            taken.add(model.name)
        return keys

    def environment(self, name: str) -> Environment:
        """Return one environment. `KeyError` where there is none of that name."""
        return {environment.name: environment for environment in self.environments}[name]

    def model(self, name: str, version: str | None = None) -> LockedModel:
        """Return a model, its default version if none is given. `KeyError` where it is absent."""
        for model in self.models:
            if model.name == name and version in (None, model.version):
                return model
        raise KeyError(name if version is None else (name, version))

    def write(self, directory: Path) -> None:
        """Write `lock.toml` and the requirements files into `directory`, and nothing stays over."""
        requirements = directory / "lock"
        requirements.mkdir(parents=True, exist_ok=True)
        for environment in self.environments:
            (requirements / f"{environment.name}.txt").write_text(environment.text, "utf-8")
        known = {f"{environment.name}.txt" for environment in self.environments}
        for file in requirements.glob("*.txt"):
            if file.name not in known:
                file.unlink()
        (directory / "lock.toml").write_text(self.text, "utf-8")

    @classmethod
    def read(cls, directory: Path) -> "Lock":
        """Read the lock in `directory`. Raises `DocumentInvalid` if it is absent or was edited."""
        file = directory / "lock.toml"
        fields = Fields(table=_document(file), file=str(file))
        fields.integer("format", low=_FORMAT, high=_FORMAT)
        if fields.problems:
            fields.fail()
        lock = cls(
            name=fields.text("name", NAME),
            version=fields.text("version", VERSION),
            python=fields.text("python", PYTHON_MINOR),
            manifest_sha256=fields.text("manifest_sha256", SHA256),
            base=fields.text("base", IMAGE_REFERENCE) if fields.has("base") else None,
            environments=tuple(
                _environment(entry, directory) for entry in fields.each("environments")
            ),
            wheels=tuple(_wheel(entry) for entry in fields.each("wheels")),
            models=tuple(_model(entry) for entry in fields.each("models")),
        )
        fields.finish()
        _check_references(lock, fields)
        return lock

    def restrict(self, name: str, version: str | None = None) -> "Lock":
        """Return the lock of one model alone: its package, core, and what these two require.

        Without `version` that is the default one. Equal for every composition that holds the model
        with the same pins, whatever else is in it. It has no front: it is for loading the model,
        not for serving it.
        """
        model = self.model(name, version)
        environment = self.environment(model.environment)
        needed = frozenset(model.requires)
        pins = tuple(pin for pin in environment.pins if pin.name in needed)
        alone = Manifest.of_model(name, version=model.version, python=self.python)
        return Lock(
            name=name,
            version=model.version,
            python=self.python,
            manifest_sha256=alone.sha256,
            base=None,
            environments=(
                Environment(
                    name=DEFAULT_ENVIRONMENT,
                    inputs_sha256=model.inputs_sha256,
                    pins=pins,
                ),
            ),
            wheels=tuple(w for w in self.wheels if w.distribution == "ml-py-stevedore-core"),
            models=(replace(model, environment=DEFAULT_ENVIRONMENT),),
        )


def _document(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DocumentInvalid(f"{file}: not there; `make lock` writes it") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DocumentInvalid(f"{file}: cannot be read: {error}; `make lock` writes it") from error


def _environment(fields: Fields, directory: Path) -> Environment:
    name = fields.text("name", NAME)
    sha256 = fields.text("sha256", SHA256)
    inputs_sha256 = fields.text("inputs_sha256", SHA256)
    fields.close()
    pins: tuple[Pin, ...] = ()
    if name:
        file = directory / "lock" / f"{name}.txt"
        text = file.read_text(encoding="utf-8") if file.is_file() else None
        if text is None:
            fields.note("name", f"`lock/{name}.txt` is not there; `make lock` writes it")
        elif _sha256(text) != sha256:
            fields.note("sha256", f"`lock/{name}.txt` was edited; run `make lock`")
        else:
            pins = parse_pins(text, file=str(file))
    return Environment(name=name, inputs_sha256=inputs_sha256, pins=pins)


def _wheel(fields: Fields) -> LockedWheel:
    wheel = LockedWheel(
        distribution=fields.text("distribution", DISTRIBUTION),
        version=fields.text("version", VERSION),
        sha256=fields.text("sha256", SHA256),
    )
    fields.close()
    return wheel


def _model(fields: Fields) -> LockedModel:
    model = LockedModel(
        name=fields.text("name", NAME),
        version=fields.text("version", VERSION),
        environment=fields.text("environment", NAME),
        distribution=fields.text("distribution", DISTRIBUTION),
        sha256=fields.text("sha256", SHA256),
        inputs_sha256=fields.text("inputs_sha256", SHA256),
        requires=fields.texts("requires", DISTRIBUTION),
    )
    fields.close()
    return model


def _check_references(lock: Lock, fields: Fields) -> None:
    """Refuse a lock whose parts do not name each other; only an edit can bring that about."""
    environments = {environment.name: environment for environment in lock.environments}
    for position, model in enumerate(lock.models, start=1):
        key = f"models[{position}]"
        if model.environment not in environments or model.environment == FRONT_ENVIRONMENT:
            fields.note(f"{key}.environment", f"no environment `{model.environment}` is locked")
            continue
        pinned = {pin.name for pin in environments[model.environment].pins}
        for absent in sorted(set(model.requires) - pinned):
            fields.note(f"{key}.requires", f"`{absent}` is not in `lock/{model.environment}.txt`")
        for other in lock.models[: position - 1]:
            if other.name == model.name and model.version == other.version:
                fields.note(key, f"`{model.name}` {model.version} is locked twice")
            elif other.name == model.name and model.environment == other.environment:
                fields.note(
                    f"{key}.environment",
                    f"`{model.environment}` holds `{model.name}` {other.version} already",
                )
    fields.finish()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

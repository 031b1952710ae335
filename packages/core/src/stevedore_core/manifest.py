"""`Manifest`: what people asked for. Build parses it before locking, the front when it starts."""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from stevedore_core.errors import DocumentInvalid
from stevedore_core.fields import (
    IMAGE_REFERENCE,
    INDEX,
    NAME,
    PYTHON_MINOR,
    VERSION,
    Fields,
    normalise,
)
from stevedore_core.served_settings import FOR_MODELS, SERVED, Setting, read_settings

__all__ = [
    "DEFAULT_ENVIRONMENT",
    "FRONT_ENVIRONMENT",
    "Environments",
    "Gate",
    "Manifest",
    "ModelPin",
    "Readiness",
]

DEFAULT_ENVIRONMENT: Final = "default"
"""The environment of the models that are given none and can share one."""

FRONT_ENVIRONMENT: Final = "front"
"""The environment of the process that speaks HTTP; no model may live there."""

Readiness = Literal["all", "any"]
"""How many models must be ready before the composition is."""

Gate = Literal["tests", "readiness"]
"""What a score below its minimum fails: the composition's tests, or its readiness too."""

Environments = Literal["few", "one", "each"]
"""How models that are given no environment get one.

`few` opens another only where requirements conflict, `one` refuses then, and `each` gives every
version of a model its own.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPin:
    """One model of a composition, at one exact version."""

    name: str
    version: str
    environment: str | None = None
    """Where it has to live; `None` leaves that to `Manifest.environments`."""
    settings: Mapping[str, Setting] = field(default_factory=dict, hash=False)
    """What it has to itself of `served_settings.FOR_MODELS`."""
    min_score: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The worst value that will do for each score, see `scores.shortfalls`."""
    gate: Gate = "tests"

    @property
    def is_alone(self) -> bool:
        """True if it asks for workers of its own; else it shares its environment's group."""
        return "workers" in self.settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A named, versioned choice of model packages. `text` is the document it was read from.

    Several pins may share a name: the first is the version that callers get who ask for none.
    """

    name: str
    version: str
    python: str
    models: tuple[ModelPin, ...]
    environments: Environments
    readiness: Readiness
    settings: Mapping[str, Setting]
    """What `[serve]` has of `served_settings.SERVED`."""
    base: str | None
    index: str | None
    """A package index that has our own models' wheels; third-party ones never come from there."""
    text: str

    @property
    def sha256(self) -> str:
        """The digest of the document."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @classmethod
    def parse(cls, path: Path) -> "Manifest":
        """Read a `composition.toml`. Raises `DocumentInvalid` with all that is wrong in it."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DocumentInvalid(f"{path}: cannot be read: {error}") from error
        return cls.from_text(text, file=str(path))

    @classmethod
    def from_text(cls, text: str, *, file: str) -> "Manifest":
        """Read the text of a manifest; `file` is where messages say it stands."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise DocumentInvalid(f"{file}: not TOML: {error}") from None
        fields = Fields(table=document, file=file)
        serve = fields.within("serve", required=False)
        image = fields.within("image", required=False)
        wheels = fields.within("wheels", required=False)
        manifest = cls(
            name=fields.text("name", NAME),
            version=fields.text("version", VERSION),
            python=fields.text("python", PYTHON_MINOR),
            models=_models(fields),
            environments=fields.choice("environments", ("few", "one", "each"), default="few"),
            readiness=serve.choice("readiness", ("all", "any"), default="all"),
            settings=read_settings(serve, SERVED),
            base=image.text("base", IMAGE_REFERENCE) if image.has("base") else None,
            index=wheels.text("index", INDEX) if wheels.has("index") else None,
            text=text,
        )
        wheels.close()
        serve.close()
        image.close()
        _refuse_crowding(manifest, fields)
        fields.finish()
        return manifest

    @classmethod
    def of_model(cls, name: str, *, version: str, python: str) -> "Manifest":
        """Return the manifest of a composition that holds one model and bears its name."""
        text = (
            f'name = "{name}"\nversion = "{version}"\npython = "{python}"\n\n'
            f'[models]\n{name} = "{version}"\n'
        )
        return cls.from_text(text, file=f"the manifest of model `{name}` alone")


def _refuse_crowding(manifest: Manifest, fields: Fields) -> None:
    """Note every model with several versions in a manifest that wants one environment."""
    versions = Counter(pin.name for pin in manifest.models)
    for name, count in versions.items():
        if manifest.environments == "one" and count > 1:
            fields.note(
                "environments",
                f"`one` cannot hold {count} versions of `{name}`; two versions of a model never "
                "share an environment",
            )


def _models(fields: Fields) -> tuple[ModelPin, ...]:
    table = fields.within("models")
    if not table.table and not fields.problems:
        fields.note("models", 'names no model; write one as `iris = "1.0.0"`')
    pins: list[ModelPin] = []
    taken: dict[str, str] = {}
    for name in table.table:
        pins += _pins(table, name)
        if not NAME.accepts(name):
            table.note(name, f"expected {NAME.expected}")
        elif (other := taken.setdefault(normalise(name), name)) != name:
            table.note(name, f"the same name as `{other}`: `-` and `_` count as one")
    return tuple(pins)


def _pins(table: Fields, name: str) -> Iterator[ModelPin]:
    """Read what stands after a model's name: a version, some versions, or a table with either."""
    if not isinstance(table.raw(name), dict):
        yield from (ModelPin(name=name, version=version) for version in _versions(table, name))
        return
    pin = table.within(name)
    environment = pin.text("environment", NAME) if pin.has("environment") else None
    if environment == FRONT_ENVIRONMENT:
        pin.note("environment", "`front` is the HTTP process's own environment; choose another")
    versions = _versions(pin, "version")
    if environment is not None and len(versions) > 1:
        pin.note(
            "environment",
            "two versions of a model never share an environment; leave it out, and each gets one",
        )
    settings = read_settings(pin, FOR_MODELS)
    minimum = pin.within("min_score", required=False)
    min_score = {name: minimum.number(name) for name in minimum.table}
    if pin.has("gate") and not min_score:
        pin.note("gate", "demands nothing; say in `min_score` which score has to reach what")
    gate: Gate = pin.choice("gate", ("tests", "readiness"), default="tests")
    pin.close()
    for version in versions:
        yield ModelPin(
            name=name,
            version=version,
            environment=environment,
            settings=settings,
            min_score=min_score,
            gate=gate,
        )


def _versions(fields: Fields, key: str) -> tuple[str, ...]:
    """Read one exact version, or an array of some; the first is the default."""
    if not isinstance(fields.raw(key), list):
        return (fields.text(key, VERSION),)
    versions = fields.texts(key, VERSION)
    if not versions:
        fields.note(key, "names no version; write at least one")
    for position, version in enumerate(versions, start=1):
        if version in versions[: position - 1]:
            fields.note(f"{key}[{position}]", f"`{version}` stands there twice")
    return versions

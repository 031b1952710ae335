"""`Manifest`: what people asked for. Build parses it before locking, the front when it starts."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from stevedore_core.errors import DocumentInvalid
from stevedore_core.fields import (
    IMAGE_REFERENCE,
    NAME,
    PYTHON_MINOR,
    VERSION,
    Fields,
    normalise,
)

__all__ = ["DEFAULT_ENVIRONMENT", "FRONT_ENVIRONMENT", "Manifest", "ModelPin", "Readiness"]

DEFAULT_ENVIRONMENT: Final = "default"
"""The environment of every model whose manifest names no other."""

FRONT_ENVIRONMENT: Final = "front"
"""The environment of the process that speaks HTTP; no model may live there."""

Readiness = Literal["all", "any"]
"""How many models must be ready before the composition is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPin:
    """One model of a composition, at one exact version."""

    name: str
    version: str
    environment: str = DEFAULT_ENVIRONMENT
    workers: int | None = None
    """Workers in a group of the model's own; `None` means it shares its environment's group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A named, versioned choice of model packages. `text` is the document it was read from."""

    name: str
    version: str
    python: str
    models: tuple[ModelPin, ...]
    readiness: Readiness
    base: str | None
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
        manifest = cls(
            name=fields.text("name", NAME),
            version=fields.text("version", VERSION),
            python=fields.text("python", PYTHON_MINOR),
            models=_models(fields),
            readiness=cast("Readiness", serve.choice("readiness", ("all", "any"), default="all")),
            base=image.text("base", IMAGE_REFERENCE) if image.has("base") else None,
            text=text,
        )
        serve.close()
        image.close()
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


def _models(fields: Fields) -> tuple[ModelPin, ...]:
    table = fields.within("models")
    if not table.table and not fields.problems:
        fields.note("models", 'names no model; write one as `iris = "1.0.0"`')
    pins: list[ModelPin] = []
    taken: dict[str, str] = {}
    for name in table.table:
        pins.append(_pin(table, name))
        if not NAME.accepts(name):
            table.note(name, f"expected {NAME.expected}")
        elif (other := taken.setdefault(normalise(name), name)) != name:
            table.note(name, f"the same name as `{other}`: `-` and `_` count as one")
    return tuple(pins)


def _pin(table: Fields, name: str) -> ModelPin:
    if not isinstance(table.raw(name), dict):
        return ModelPin(name=name, version=table.text(name, VERSION))
    pin = table.within(name)
    environment = pin.text("environment", NAME, default=DEFAULT_ENVIRONMENT)
    if environment == FRONT_ENVIRONMENT:
        pin.note("environment", "`front` is the HTTP process's own environment; choose another")
    version = pin.text("version", VERSION)
    workers = pin.integer("workers", low=1, high=64) if pin.has("workers") else None
    pin.close()
    return ModelPin(name=name, version=version, environment=environment, workers=workers)

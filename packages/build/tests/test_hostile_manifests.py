"""Every field of a manifest with every hostile string: nothing runs, no instruction is added."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stevedore_build.errors import ContainerfileRefused
from stevedore_build.images.bases import Base
from stevedore_build.images.building import build_image
from stevedore_build.images.containerfile import Containerfile
from stevedore_build.images.engines import DOCKER, Engine
from stevedore_build.store import Store
from stevedore_core.errors import DocumentInvalid
from stevedore_core.fields import Fields, Grammar
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.manifest import Manifest

BASE = "sha256:" + "b" * 64
HEX = "0" * 64

Table = dict[str, object]
Change = Callable[[Table, str], None]

HOSTILE = [
    "\nRUN touch CANARY",
    "\r\nRUN touch CANARY",
    "\rRUN touch CANARY",
    "\u2028RUN touch CANARY",
    "\u0085RUN touch CANARY",
    "\n",
    "\\\nRUN touch CANARY",
    "\\",
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY",
    "& touch CANARY",
    "&& touch CANARY",
    "|| touch CANARY",
    "| tee CANARY",
    "> CANARY",
    "${PATH}",
    "$PATH",
    "{{.Id}}",
    "{% raw %}",
    '" RUN="touch CANARY',
    "' ; touch CANARY ; '",
    '["sh", "-c", "touch CANARY"]',
    "<<EOF\nRUN touch CANARY\nEOF",
    "# escape=`",
    "\0",
    "\x1b[31m",
    "\t",
    " ",
    "--help",
    "--volume=/:/host",
    "-v",
    "../../CANARY",
    "/CANARY",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
    "\N{CYRILLIC SMALL LETTER A}",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "%s%n",
    "@sha256:x",
    "x" * 300,
]


def put(*path: str) -> Change:
    """Return what sets the value at a path of keys."""

    def change(document: Table, value: str) -> None:
        inner(document, *path[:-1])[path[-1]] = value

    return change


def rename(*path: str) -> Change:
    """Return what adds a key beside the one at a path, with the same value."""

    def change(document: Table, name: str) -> None:
        table = inner(document, *path[:-1])
        table[name] = table[path[-1]]

    return change


def inner(document: Table, *path: str) -> Table:
    """Return the table at a path of keys."""
    for key in path:
        table = document[key]
        assert isinstance(table, dict)
        document = table
    return document


PLACES: dict[str, tuple[str, Change]] = {
    "name": ("pair", put("name")),
    "version": ("1.0.0", put("version")),
    "python": ("3.11", put("python")),
    "environments": ("few", put("environments")),
    "a key": ("name", rename("name")),
    "models, a name": ("rose", rename("models", "iris")),
    "models, a version": ("1.0.0", put("models", "iris")),
    "models, an item": ("1.1.0", lambda d, x: put("models", "iris")(d, ["1.0.0", x])),  # type: ignore[arg-type]
    "models.tulip.version": ("1.0.0", put("models", "tulip", "version")),
    "models.tulip.environment": ("garden", put("models", "tulip", "environment")),
    "models.tulip.workers": ("2", put("models", "tulip", "workers")),
    "models.tulip.gate": ("tests", put("models", "tulip", "gate")),
    "models.tulip, a key": ("gate", rename("models", "tulip", "gate")),
    "models.tulip.min_score, a name": ("loss", rename("models", "tulip", "min_score", "accuracy")),
    "models.tulip.min_score.accuracy": ("0.5", put("models", "tulip", "min_score", "accuracy")),
    "serve.readiness": ("any", put("serve", "readiness")),
    "serve, a key": ("readiness", rename("serve", "readiness")),
    "image.base": ("slim:1", put("image", "base")),
    "image, a key": ("base", rename("image", "base")),
    "wheels.index": ("https://wheels.example/simple", put("wheels", "index")),
    "wheels, a key": ("index", rename("wheels", "index")),
}
"""Where a string can stand, what fits there, and how to put another in its place."""


def clean() -> Table:
    """Return a manifest that says everything a manifest can say."""
    tulip = {
        "version": "1.0.0",
        "environment": "garden",
        "workers": 2,
        "gate": "tests",
        "min_score": {"accuracy": 0.5},
    }
    return {
        "name": "pair",
        "version": "1.0.0",
        "python": "3.11",
        "environments": "few",
        "models": {"iris": "1.0.0", "tulip": tulip},
        "serve": {"readiness": "any"},
        "image": {"base": "slim:1"},
        "wheels": {"index": "https://wheels.example/simple"},
    }


def toml(value: object) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def manifests(strings: Sequence[str], canary: Path) -> Iterator[str]:
    """Go through all pairs of a place and a hostile string, alone and behind what fits there."""
    for fitting, change in PLACES.values():
        for hostile in strings:
            for text in (hostile, fitting + hostile):
                document = clean()
                change(document, text.replace("CANARY", str(canary)))
                yield "\n".join(f"{toml(key)} = {toml(item)}" for key, item in document.items())


@dataclass
class Tried:
    """What became of all pairs."""

    pairs: int = 0
    refused: int = 0
    added: int = 0
    """Instructions that the clean manifest's Containerfile does not have."""
    canaries: int = 0


def try_all(strings: Sequence[str], engine: Engine, place: Path) -> Tried:
    """Take every hostile manifest as far as it gets: to an image of an engine."""
    canary = place / "canary"
    expected = instructions(clean_text(), engine, place)
    tried = Tried()
    for text in manifests(strings, canary):
        tried.pairs += 1
        try:
            found = instructions(text, engine, place)
        except (DocumentInvalid, ContainerfileRefused):
            tried.refused += 1
        else:
            tried.added += found != expected
        tried.canaries += canary.exists()
        canary.unlink(missing_ok=True)
    return tried


def clean_text() -> str:
    """Return the manifest in which nothing is hostile."""
    return "\n".join(f"{toml(key)} = {toml(item)}" for key, item in clean().items())


def instructions(text: str, engine: Engine, place: Path) -> list[str]:
    """Build what a manifest asks for, and return the instructions that the engine was given."""
    manifest = Manifest.from_text(text, file="composition.toml")
    lock = Lock(
        name=manifest.name,
        version=manifest.version,
        python=manifest.python,
        manifest_sha256=manifest.sha256,
        base=manifest.base,
        environments=(),
        wheels=(),
        models=tuple(
            LockedModel(
                name=pin.name,
                version=pin.version,
                environment=pin.environment or "default",
                distribution=f"stevedore-model-{pin.name}",
                sha256=HEX,
                inputs_sha256=HEX,
                requires=(),
            )
            for pin in manifest.models
        ),
    )
    base = Base(reference=manifest.base or "ours", image=BASE, libraries=())
    build_image(lock, engine=engine, base=base, layers=(), store=Store(root=place / "store"))
    return [
        line.split(maxsplit=1)[0]
        for line in (place / "built").read_text().splitlines()
        if line.strip()
    ]


@pytest.fixture
def make_engine(tmp_path: Path) -> Callable[[str], Engine]:
    """Make an engine that keeps the Containerfile, and does as told with its arguments."""

    def make(does: str) -> Engine:
        program = tmp_path / "engine"
        program.write_text(
            f"#!/bin/sh\n{does}\n"
            'case "$1" in\n'
            f'image) case "$4" in *Size*) echo 1 ;; *) exit 1 ;; esac ;;\n'
            'build)\n  while [ "$1" != --iidfile ]; do shift; done\n'
            f'  echo {BASE} >"$2"; cp "$4" {tmp_path}/built ;;\n'
            "esac\n"
        )
        program.chmod(0o755)
        return replace(DOCKER, command=(str(program),))

    return make


@pytest.mark.fault("G12")
def test_every_pair(
    make_engine: Callable[[str], Engine], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """What a grammar does not refuse reaches no instruction and no shell."""
    tried = try_all(HOSTILE, make_engine(":"), tmp_path)
    figure(
        f"{tried.pairs} pairs of {len(PLACES)} fields and {2 * len(HOSTILE)} strings: "
        f"{tried.refused} refused; {tried.added} added instructions, {tried.canaries} canaries"
    )
    assert tried.pairs >= 1_000
    assert (tried.added, tried.canaries) == (0, 0)


@pytest.mark.control("G12")
def test_without_grammars_and_with_a_shell(
    make_engine: Callable[[str], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that takes every string, and an engine behind a shell, are both told."""
    monkeypatch.setattr(Grammar, "accepts", lambda *_: True)
    monkeypatch.setattr(Fields, "close", lambda _: None)
    monkeypatch.setattr(Containerfile, "__post_init__", lambda _: None)
    tried = try_all(
        ["\nRUN touch CANARY", "$(touch CANARY)", "; touch CANARY"],
        make_engine('(eval "$*") >/dev/null 2>&1 || :'),
        tmp_path,
    )
    assert (tried.pairs, tried.added, tried.canaries) == (126, 16, 6)

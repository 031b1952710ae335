"""What is known of a model before there is a package of it: made up, or read from a fitted file.

`cli.scaffolds` calls it for `models`. No framework is imported here: a file is read by its
framework's `probe.py`, in an environment of that framework.
"""

import json
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stevedore_build.console import step
from stevedore_build.errors import ScaffoldRefused
from stevedore_build.scaffolds.frameworks import Framework, find_framework, frameworks
from stevedore_build.scaffolds.model_environments import core_requires, python_with, run_python
from stevedore_build.scaffolds.pickles import refuse_pickles
from stevedore_build.workspace import Workspace
from stevedore_core.strict_json import Json

__all__ = ["ModelFacts", "made_up", "read_fitted"]

_TEXT_SUFFIXES: Final = (".json", ".txt")
_BEGINNING_BYTES: Final = 4096
_TOLERANCE: Final = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """What payloads and predictions of a model look like."""

    framework: Framework
    framework_version: str
    """Of the distribution that trained."""
    weights: str
    """The name of the file of weights in the package."""
    task: str
    """What a prediction is, for each instance: a `label` or a `number`."""
    labels: tuple[Json, ...] | None
    shape: tuple[int, ...] = (3,)
    """How many numbers an instance has, along each axis."""
    columns: tuple[str, ...] | None = None
    """The names of an instance's numbers, where it has names."""
    ranges: tuple[tuple[float, float], ...] | None = None
    """A usual least and greatest value of each number, for examples."""
    float_tolerance: float = 0.0
    """How far the numbers of a batch may be from those of an instance alone."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """What only this framework's part of the template knows how to use."""


def made_up(framework: Framework, *, task: str) -> ModelFacts:
    """Return what is known of a model on data that are made up."""
    return ModelFacts(
        framework=framework,
        framework_version=framework.version,
        weights=framework.weights,
        task=task,
        labels=("no", "yes") if task == "label" else None,
        float_tolerance=0.0 if task == "label" else _TOLERANCE,
    )


def read_fitted(
    file: Path, *, workspace: Workspace, framework: str = "", trusted: Sequence[str] = ()
) -> ModelFacts:
    """Return what the file of a fitted model says of it.

    `framework` names one where the file could be of several. `trusted` are types that a skops file
    may hold beside those that skops trusts by itself. Raises `ScaffoldRefused` if nothing can be
    started from the file.
    """
    if not file.is_file():
        raise ScaffoldRefused(f"`{file}`: expected the file of a fitted model, found no such file")
    refuse_pickles(file)
    its = _framework_of(file, framework)
    skops = _skops_schema(file)
    version = max(_versions(skops), default=its.version)
    has_columns = "feature_names_in_" in json.dumps(skops)
    requires = _requires(its, version, has_columns=has_columns) + core_requires(workspace)
    requires += its.probe_requires
    python = python_with(requires, store=workspace.store)
    with step(f"Looking into {file.name}"):
        probe = [str(its.directory / "probe.py"), str(file.absolute()), *trusted]
        said = json.loads(run_python(python, probe, cwd=file.parent, variables={}))
    if "refused" in said:
        raise ScaffoldRefused(f"`{file}`: {said['refused']}")
    ranges = said.get("ranges")
    return ModelFacts(
        framework=its,
        framework_version=version,
        weights=Path(its.weights).stem + file.suffix,
        task=said["task"],
        labels=None if said["labels"] is None else tuple(said["labels"]),
        shape=tuple(said["shape"]),
        columns=None if said["columns"] is None else tuple(said["columns"]),
        ranges=None if ranges is None else tuple((low, high) for low, high in ranges),
        float_tolerance=said.get("float_tolerance", 0.0 if said["labels"] else _TOLERANCE),
        details=said.get("details", {}),
    )


def _framework_of(file: Path, name: str) -> Framework:
    """Return the framework that a file is of, by its suffix and, if it is text, its beginning."""
    suffix = file.suffix.lower()
    known = [f for f in frameworks().values() if suffix in f.suffixes]
    if name:
        chosen = find_framework(name)
        if chosen not in known:
            expected = " or ".join(f"`{s}`" for s in chosen.suffixes) or "no file at all"
            raise ScaffoldRefused(
                f"`{file}`: expected a file of {chosen.title}, {expected}, found `{suffix}`"
            )
        known = [chosen]
    if suffix in _TEXT_SUFFIXES:
        with file.open("rb") as opened:
            beginning = opened.read(_BEGINNING_BYTES)
        known = [f for f in known if f.mark.encode() in beginning]
    if len(known) != 1:
        endings = ", ".join(
            f"`{ending}` ({f.title})" for f in frameworks().values() for ending in f.suffixes
        )
        raise ScaffoldRefused(
            f"`{file}`: cannot be told what made it; files that a model is made from end in "
            f"{endings}"
        )
    return known[0]


def _requires(framework: Framework, version: str, *, has_columns: bool) -> list[str]:
    """Return what a package of that framework will depend on beside core."""
    from jinja2 import Environment  # noqa: PLC0415 - for these commands only

    text = (framework.directory / "requires.jinja").read_text(encoding="utf-8")
    lines = Environment(autoescape=False).from_string(text)  # noqa: S701 - no HTML
    rendered = lines.render(framework_version=version, columns=has_columns, from_file=True)
    found: list[str] = tomllib.loads(f"requires = [\n{rendered}\n]")["requires"]
    return found


def _skops_schema(file: Path) -> object:
    """Return what a skops file says it holds, before any of that is loaded; else nothing."""
    try:
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return None


def _versions(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _versions(item)
    if isinstance(node, dict):
        version = node.get("_sklearn_version")
        if isinstance(version, dict) and isinstance(version.get("content"), str):
            yield str(version["content"]).strip('"')
        for item in node.values():
            yield from _versions(item)

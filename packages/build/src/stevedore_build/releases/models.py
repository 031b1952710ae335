"""Releasing a model: its version, its wheel in the wheel store, its changelog and its tag.

`cli.releases` calls it. What is released never changes again; `wheels.pins` sees to that.
"""

import json
import shutil
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from hatchling.version.source.regex import RegexSource

from stevedore_build.checks.running import check_model
from stevedore_build.digests import sha256_of
from stevedore_build.errors import ReleaseRefused, WorkspaceInvalid
from stevedore_build.layouts.serving import model_alone, released_alone
from stevedore_build.releases.answers import Answer, answers_of
from stevedore_build.releases.changelogs import UNRELEASED, Changelog
from stevedore_build.releases.commits import all_or_nothing, refuse_uncommitted
from stevedore_build.schemas.compatibility import compare
from stevedore_build.tags import ReleaseTag, find_tag, read_tags
from stevedore_build.versions import PARTS, Part, bumped, next_version, numbers, part_between
from stevedore_build.wheels.building import OwnWheel, build_wheels
from stevedore_build.wheels.pins import WHEEL_STORE
from stevedore_build.workspace import Package, Workspace, version_in
from stevedore_core.errors import PayloadInvalid
from stevedore_core.fields import VERSION, quote
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json

__all__ = ["ModelRelease", "release_model"]

_SHARED: Final = ("packages/core", "requirements", "conftest.py", "pyproject.toml")
"""What the tests of a model read beside the model itself."""

_STATIC: Final = r'^version *= *(["\'])(?P<version>.+?)\1'


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRelease:
    """A released version of a model."""

    tag: ReleaseTag
    wheel: Path
    """Where it lies in the wheel store."""
    is_new: bool
    """False if it was released before with the same content, and nothing was done."""


def release_model(
    name: str, *, workspace: Workspace, python: Path, today: date, part: Part | None = None
) -> ModelRelease:
    """Release a model at the version it declares, or at the next one if a `part` is to go up.

    Its tests run in `python`, unless they passed before. Raises `ReleaseRefused` with what is in
    the way, and what the checks raise; then everything is as it was.
    """
    package, root = workspace.model(name), workspace.root
    declared = _declared(package)
    version = declared if part is None else bumped(declared, part)
    refuse_uncommitted((f"models/{name}", *_SHARED), root=root)
    wheel_file = f"{package.distribution.replace('-', '_')}-{version}-py3-none-any.whl"
    stored = root / WHEEL_STORE / wheel_file
    tag = find_tag("models", name, version, root=root)
    if tag is not None:
        return _released_before(tag, package, part, stored, workspace)
    changelog = _changelog(package, version if part is None else UNRELEASED)
    log = package.directory / "CHANGELOG.md"
    committed = () if part is None else (_version_file(package), log)
    with all_or_nothing((*committed, stored), "models", name, version, root=root) as commit:
        if part is not None:
            _write_version(package, version)
            log.write_bytes(changelog.promoted(version, today).text.encode())
        wheel = _wheel(package, workspace)
        _refuse_other_wheel(stored, wheel)
        _refuse_too_small_a_step(name, version, workspace)
        check_model(name, workspace=workspace, python=python)
        _put(wheel, stored, workspace)
        tag = commit(committed, {"Sha256": wheel.sha256})
    return ModelRelease(tag=tag, wheel=stored, is_new=True)


def _declared(package: Package) -> str:
    version = version_in(package.directory)
    if version is None or not VERSION.accepts(version):
        raise WorkspaceInvalid(
            f"{package.directory / 'pyproject.toml'}: expected {VERSION.expected}, "
            f"found {quote(version)}"
        )
    return version


def _released_before(
    tag: ReleaseTag, package: Package, part: Part | None, stored: Path, workspace: Workspace
) -> ModelRelease:
    """Do nothing if the workspace has what was released; refuse anything else."""
    wheel = _wheel(package, workspace)
    if part is not None or wheel.sha256 != tag.trailer("Sha256"):
        raise ReleaseRefused(
            f"`{tag.name}` {tag.version} was released already, as the tag `{tag.tag}` records, and "
            f"`models/{tag.name}` holds something else; a released version never changes: bump it "
            f"with `make release-model NAME={tag.name} PART=patch`, or `minor` or `major`"
        )
    _refuse_other_wheel(stored, wheel)
    _put(wheel, stored, workspace)
    return ModelRelease(tag=tag, wheel=stored, is_new=False)


def _changelog(package: Package, title: str) -> Changelog:
    """Return the changelog, which must say something under a title."""
    file = package.directory / "CHANGELOG.md"
    changelog = Changelog.read(file)
    entry = changelog.entry(title)
    if entry is None or not entry.text:
        found = "none" if entry is None else "an empty one"
        raise ReleaseRefused(
            f"{file}: expected an entry `## {title}` that tells callers what changed, found {found}"
            "; write it and commit it"
        )
    return changelog


def _version_file(package: Package) -> Path:
    return package.directory / _hatch_version(package)["path"]


def _hatch_version(package: Package) -> dict[str, str]:
    """Return where the version stands, as hatchling wants to be told."""
    project = tomllib.loads((package.directory / "pyproject.toml").read_text(encoding="utf-8"))
    if "version" in project["project"]:
        return {"path": "pyproject.toml", "pattern": _STATIC}
    return {"path": project["tool"]["hatch"]["version"]["path"]}


def _write_version(package: Package, version: str) -> None:
    """Have hatchling write the version where the package says it."""
    source = RegexSource(str(package.directory), _hatch_version(package))
    source.set_version(version, source.get_version_data())
    if _declared(package) != version:
        raise WorkspaceInvalid(
            f"{_version_file(package)}: the first line that looks like a version is another one; "
            "put the version of the package above it"
        )


def _wheel(package: Package, workspace: Workspace) -> OwnWheel:
    wheels = build_wheels([package], workspace=workspace, store=workspace.store)
    return wheels[package.distribution]


def _refuse_other_wheel(stored: Path, wheel: OwnWheel) -> None:
    """Refuse where the wheel store holds the version with other content."""
    if stored.is_file():
        found = sha256_of(stored)
        if found != wheel.sha256:
            raise ReleaseRefused(
                f"{stored}: this version is in the wheel store with other content: expected sha256 "
                f"`{wheel.sha256}`, found `{found}`; if it was never released, remove the file"
            )


def _put(wheel: OwnWheel, stored: Path, workspace: Workspace) -> None:
    with workspace.store.replacing(stored) as draft:
        shutil.copyfile(wheel.path, draft)


def _refuse_too_small_a_step(name: str, version: str, workspace: Workspace) -> None:
    """Refuse a version that promises more than what changed since the release before it keeps."""
    lower = [
        tag
        for tag in read_tags("models", name, root=workspace.root)
        if numbers(tag.version) < numbers(version)
    ]
    if not lower:
        return
    before = lower[-1].version
    found = _differences(name, before, workspace)
    promised = part_between(before, version)
    needed = max((part for part, _ in found), key=PARTS.index, default=promised)
    if PARTS.index(needed) <= PARTS.index(promised):
        return
    told = [text for part, text in found if PARTS.index(part) > PARTS.index(promised)]
    listed = "".join(f"\n* {text}" for text in told)
    raise ReleaseRefused(
        f"`{name}` {version} would be a {promised} release after {before}, and what changed asks "
        f"for a {needed} one:{listed}\nRelease it as {next_version(before, needed)}, or take back "
        "what changed."
    )


def _differences(name: str, before: str, workspace: Workspace) -> list[tuple[Part, str]]:
    """Return what callers may notice between a release and the workspace, and what it asks for."""
    lock = model_alone(name, workspace=workspace).lock
    released = released_alone(name, before, workspace=workspace, like=lock).lock
    old = answers_of(released, name, store=workspace.store)
    new = answers_of(lock, name, store=workspace.store, payloads=[old.predict_example])
    found = _schema_differences("predict", old.predict_schema, new.predict_schema)
    found += _schema_differences("score", old.score_schema, new.score_schema)
    found += _example_differences("score", before, old.score_example, new.score_schema)
    unfit = _example_differences("predict", before, old.predict_example, new.predict_schema)
    return found + (unfit or _prediction_differences(before, old.answer, *new.asked))


def _prediction_differences(before: str, old: Answer, new: Answer) -> list[tuple[Part, str]]:
    """Compare the answers to one payload, exactly."""
    what = f"the predict example of {before}"
    if new.refusal is not None:
        return [("major", f"{what} is refused: {new.refusal}")]
    was, now = (json.dumps(answer.prediction, sort_keys=True) for answer in (old, new))
    if was == now:
        return []
    return [("minor", f"predictions on {what}: {quote(was)} became {quote(now)}")]


def _schema_differences(kind: str, old: Json, new: Json) -> list[tuple[Part, str]]:
    return [(change.part, f"{kind} schema, {change}") for change in compare(old, new)]


def _example_differences(
    kind: str, before: str, example: Json, schema: Json
) -> list[tuple[Part, str]]:
    try:
        Schema.compile(schema, where=f"{kind} schema").check(example)
    except PayloadInvalid as error:
        places = "; ".join(f"`{v.pointer or '/'}`: {v.message}" for v in error.violations)
        text = f"the {kind} example of {before} does not fit the {kind} schema: {places}"
        return [("major", text)]
    return []

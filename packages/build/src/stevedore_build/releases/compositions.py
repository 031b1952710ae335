"""Releasing a composition: raised, locked, tested, its image built, written down and tagged.

`make release` and `make push` call it. Whatever fails, files, names of images, commits and tags are
as they were.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import tomlkit

from stevedore_build.checks.running import check_composition, check_model
from stevedore_build.errors import ReleaseRefused
from stevedore_build.images.building import image_name
from stevedore_build.images.composing import check_image, image_passed
from stevedore_build.images.documents import Documents
from stevedore_build.images.engines import Engine
from stevedore_build.images.registries import Pushed, push_image
from stevedore_build.layouts.serving import fresh
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.releases.changelogs import UNRELEASED, Changelog
from stevedore_build.releases.commits import all_or_nothing, refuse_uncommitted
from stevedore_build.releases.comparing import moves_since_release
from stevedore_build.releases.moves_text import moves_to_markdown
from stevedore_build.signing import Signer, find_signer
from stevedore_build.tags import find_tag, read_tags, tag_name
from stevedore_build.versions import Part, bumped, numbers
from stevedore_build.wheels.pins import refuse_other_than_released, wheels_of
from stevedore_build.workspace import Workspace, version_in
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.manifest import Manifest

__all__ = ["RELEASES", "CompositionRelease", "push_release", "release_composition"]

RELEASES: Final = Path("dist", "releases")
"""Where the workspace keeps the documents of released compositions."""

_SHARED: Final = (
    "packages/core",
    "packages/api",
    "tests/composition",
    "tests/image",
    "requirements",
    "conftest.py",
    "pyproject.toml",
)
"""What else than a composition and its models a release is made from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompositionRelease:
    """A released version of a composition."""

    tag: str
    is_new: bool
    """Whether it was released just now."""
    images: tuple[str, ...]
    """What the image is called in each engine it was tested in."""


def release_composition(  # noqa: PLR0913 - what, where, with what, and when
    name: str,
    *,
    workspace: Workspace,
    engines: Sequence[Engine],
    python: Path,
    on: date,
    part: Part | None = None,
) -> CompositionRelease:
    """Release the version that the manifest declares, or the one in which `part` is one higher.

    Tests run in `python`. A version that is released already is left alone if its lock is still the
    same. Raises `ReleaseRefused`, and whatever locking, testing and building raise.
    """
    root, directory = workspace.root, workspace.composition(name)
    manifest = Manifest.parse(directory / "composition.toml")
    version = bumped(manifest.version, part) if part else manifest.version
    tag = tag_name("compositions", name, version)
    if find_tag("compositions", name, version, root=root) is not None:
        if part is not None:
            raise ReleaseRefused(f"`{name}` {version} is released already; raise another part")
        _, lock = fresh(name, workspace=workspace)
        return CompositionRelease(tag=tag, is_new=False, images=_images(lock, engines))
    refuse_uncommitted(_read(manifest), root=root)
    signer = find_signer()  # an unusable key is told before anything is done
    if part is None:
        manifest, lock = fresh(name, workspace=workspace)
    else:
        manifest, lock = _raised(manifest, version, workspace)
    _refuse_unreleased(lock, workspace)
    files = _files(directory, lock)
    with (
        all_or_nothing(files, "compositions", name, version, root=root) as commit,
        _names_put_back(_images(lock, engines), engines),
    ):
        if part is not None:
            (directory / "composition.toml").write_text(manifest.text, encoding="utf-8")
            lock.write(directory)
        _check(lock, workspace=workspace, engines=engines, python=python)
        _tell(lock, workspace, on)
        trailers = {f"Image-{e.name}": e.find_image(image_name(lock, e)) or "" for e in engines}
        commit(files, {"Lock": lock.digest, **trailers})
        _write_documents(lock, workspace, engines, signer)  # they name the commit
    return CompositionRelease(tag=tag, is_new=True, images=_images(lock, engines))


def push_release(name: str, *, workspace: Workspace, engine: Engine, registry: str) -> Pushed:
    """Push the image of a released composition, and note its digest beside the release.

    With a key of cosign the image is signed there. Raises `ReleaseRefused` unless it is released,
    and passed its tests as it is now.
    """
    signer = find_signer()
    _, lock = fresh(name, workspace=workspace)
    if find_tag("compositions", name, lock.version, root=workspace.root) is None:
        raise ReleaseRefused(
            f"`{name}` {lock.version} is not released, and a registry gets nothing else; run "
            f"`make release NAME={name}`"
        )
    image = image_passed(name, workspace=workspace, engine=engine)
    if image is None:
        raise ReleaseRefused(
            f"the image of `{name}` {lock.version} did not pass its tests in {engine.name} as it "
            f"is now; run `make compose NAME={name}`"
        )
    pushed = push_image(
        image.reference, name=name, version=lock.version, registry=registry, engine=engine
    )
    if signer is not None and signer.signs_images:
        signer.sign_image(pushed.reference)
    _note_digest(pushed, _documents_of(name, lock.version, workspace) / "digests.txt")
    return pushed


def _read(manifest: Manifest) -> Sequence[str]:
    """Return what a release is made from; only what is committed there can be had again."""
    models = dict.fromkeys(f"models/{pin.name}" for pin in manifest.models)
    return (f"compositions/{manifest.name}", *models, *_SHARED)


def _raised(manifest: Manifest, version: str, workspace: Workspace) -> tuple[Manifest, Lock]:
    """Return a manifest with another version, and its lock. Nothing is written."""
    directory = workspace.composition(manifest.name)
    document = tomlkit.parse(manifest.text)
    document["version"] = version
    file = str(directory / "composition.toml")
    raised = Manifest.from_text(tomlkit.dumps(document), file=file)
    wheels = wheels_of(raised, workspace=workspace)
    refuse_other_than_released(wheels, workspace=workspace)
    return raised, lock_manifest(raised, wheels, previous=Lock.read(directory))


def _files(directory: Path, lock: Lock) -> Sequence[Path]:
    """Return all files that a release may write, or remove, in a composition's directory."""
    names = ("composition.toml", "lock.toml", "CHANGELOG.md")
    pins = {directory / "lock" / f"{environment.name}.txt" for environment in lock.environments}
    pins |= set((directory / "lock").glob("*.txt"))
    return (*(directory / name for name in names), *sorted(pins))


def _refuse_unreleased(lock: Lock, workspace: Workspace) -> None:
    """Refuse every model that may still change under its version."""
    tags = {(tag.name, tag.version) for tag in read_tags("models", root=workspace.root)}
    problems = [
        f"`{model.name}` {model.version} is not released: run "
        f"`make release-model NAME={model.name}`"
        for model in lock.models
        if (model.name, model.version) not in tags and not _is_superseded(model, workspace)
    ]
    if problems:
        raise ReleaseRefused(f"`{lock.name}` cannot be released: {'; '.join(problems)}")


def _is_superseded(model: LockedModel, workspace: Workspace) -> bool:
    """Tell whether the workspace is past a model's version, so that nothing can change it."""
    now = version_in(workspace.root / "models" / model.name)
    return now is None or numbers(now) > numbers(model.version)


def _check(lock: Lock, *, workspace: Workspace, engines: Sequence[Engine], python: Path) -> None:
    """Run what `make compose` runs; what passed with the same content is not run again."""
    for model in dict.fromkeys(model.name for model in lock.models):
        check_model(model, workspace=workspace, python=python)
    check_composition(lock.name, workspace=workspace, python=python)
    for engine in engines:
        check_image(lock.name, workspace=workspace, engine=engine, python=python)


def _tell(lock: Lock, workspace: Workspace, on: date) -> None:
    """Write what moved into the composition's changelog, below what people wrote there."""
    file = workspace.composition(lock.name) / "CHANGELOG.md"
    changelog = Changelog.read(file) if file.is_file() else Changelog.from_text("", file=str(file))
    before = changelog.text or "# Changelog\n"
    moves = moves_to_markdown(moves_since_release(lock, workspace=workspace))
    title = lock.version if changelog.entry(lock.version) else UNRELEASED
    entry = changelog.entry(title)
    if entry is not None and moves in entry.text:
        return  # an earlier release wrote it, whose tag is gone
    if entry is not None:
        before = changelog.without(title).text
        moves = f"{entry.text}\n\n{moves}" if entry.text else moves
    bare = Changelog.from_text(before, file=str(file))
    file.write_bytes(bare.with_entry(lock.version, on, moves).text.encode())


def _documents_of(name: str, version: str, workspace: Workspace) -> Path:
    return workspace.root / RELEASES / f"{name}-{version}"


def _write_documents(
    lock: Lock, workspace: Workspace, engines: Sequence[Engine], signer: Signer | None
) -> None:
    """Write the documents of a release, each with its signature if there is a key."""
    place = _documents_of(lock.name, lock.version, workspace)
    with workspace.store.replacing(place) as draft:
        for path, content in Documents.of(lock.name, workspace=workspace).files(engines).items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_bytes(content)
            if signer is not None:
                signer.sign_file(draft / path)


def _images(lock: Lock, engines: Sequence[Engine]) -> tuple[str, ...]:
    return tuple(image_name(lock, engine) for engine in engines)


@contextmanager
def _names_put_back(references: Sequence[str], engines: Sequence[Engine]) -> Iterator[None]:
    """Give each name back to the image that had it if anything is raised inside."""
    pairs = list(zip(engines, references, strict=True))
    before = [engine.find_image(reference) for engine, reference in pairs]
    try:
        yield
    except BaseException:
        for (engine, reference), image in zip(pairs, before, strict=True):
            now = engine.find_image(reference)
            if image is not None and now != image:
                engine.run("tag", image, reference)
            elif image is None and now is not None:
                engine.run("rmi", reference)
        raise


def _note_digest(pushed: Pushed, file: Path) -> None:
    known = file.read_text("utf-8").splitlines() if file.is_file() else []
    if pushed.reference not in known:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([*known, pushed.reference, ""]), "utf-8")

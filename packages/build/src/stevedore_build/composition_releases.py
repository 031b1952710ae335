"""Releasing a composition: raised, locked, tested, its image built, written down and tagged.

`make release` and `make push` call it. Commit and tag come last; whatever fails, files, names of
images and history are as they were.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import tomlkit

from stevedore_build.changelogs import UNRELEASED, Changelog
from stevedore_build.checks import check_composition, check_model
from stevedore_build.comparing import moves_since_release
from stevedore_build.composing import check_image, image_passed
from stevedore_build.engines import Engine
from stevedore_build.errors import ReleaseRefused
from stevedore_build.images import image_name
from stevedore_build.locking import lock_manifest
from stevedore_build.moves_text import moves_to_markdown
from stevedore_build.pins import wheels_of
from stevedore_build.processes import git
from stevedore_build.registries import Pushed, push_image
from stevedore_build.serving import fresh
from stevedore_build.tags import find_tag, tag_name, write_tag
from stevedore_build.undoing import put_back
from stevedore_build.versions import Part, bumped, numbers
from stevedore_build.workspace import Workspace, declared_version
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.manifest import Manifest

__all__ = ["RELEASES", "CompositionRelease", "push_release", "release_composition"]

RELEASES: Final = Path("dist", "releases")
"""Where the workspace keeps the documents of released compositions."""

_READ: Final = ("packages/core", "packages/api", "tests/image", "requirements", "pyproject.toml")
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
    directory = workspace.composition(name)
    manifest = Manifest.parse(directory / "composition.toml")
    version = bumped(manifest.version, part) if part else manifest.version
    tag = tag_name("compositions", name, version)
    if find_tag("compositions", name, version, root=workspace.root) is not None:
        if part is not None:
            raise ReleaseRefused(f"`{name}` {version} is released already; raise another part")
        _, lock = fresh(name, workspace=workspace)
        return CompositionRelease(tag=tag, is_new=False, images=_images(lock, engines))
    _refuse_uncommitted(manifest, workspace)
    with put_back(*_written(directory), _documents_of(name, version, workspace)):
        if part is not None:
            _raise_version(directory, version)
            _lock_anew(name, workspace)
        _, lock = fresh(name, workspace=workspace)
        _refuse_unreleased(lock, workspace)
        with _names_put_back(_images(lock, engines), engines):
            _check(lock, workspace=workspace, engines=engines, python=python)
            _tell(lock, workspace, on)
            _write_documents(lock, workspace)
            _record(lock, workspace, engines)
    return CompositionRelease(tag=tag, is_new=True, images=_images(lock, engines))


def push_release(name: str, *, workspace: Workspace, engine: Engine, registry: str) -> Pushed:
    """Push the image of a released composition, and note its digest beside the release.

    Raises `ReleaseRefused` unless it is released, and passed its tests as it is now.
    """
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
    _note_digest(pushed, _documents_of(name, lock.version, workspace) / "digests.txt")
    return pushed


def _refuse_uncommitted(manifest: Manifest, workspace: Workspace) -> None:
    """Refuse files that are not as they are committed: the tag would not lead to them."""
    models = dict.fromkeys(f"models/{pin.name}" for pin in manifest.models)
    places = (f"compositions/{manifest.name}", *models, *_READ)
    flags = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    told = git("status", *flags, "--", *places, cwd=workspace.root)
    if files := [entry[3:] for entry in told.split("\0") if entry]:
        raise ReleaseRefused(
            f"`{manifest.name}` cannot be released: not as they are committed are "
            f"{', '.join(f'`{file}`' for file in files)}; commit them, or put them back"
        )


def _refuse_unreleased(lock: Lock, workspace: Workspace) -> None:
    """Refuse a model that may still change under its version, or did since its release."""
    problems = []
    for model in lock.models:
        tag = find_tag("models", model.name, model.version, root=workspace.root)
        if tag is not None and tag.trailer("Sha256") != model.sha256:
            problems.append(
                f"`{model.name}` {model.version} was released with other content "
                f"(sha256 `{tag.trailer('Sha256')}`)"
            )
        elif tag is None and not _is_superseded(model, workspace):
            problems.append(
                f"`{model.name}` {model.version} is not released: run "
                f"`make release-model NAME={model.name}`"
            )
    if problems:
        raise ReleaseRefused(f"`{lock.name}` cannot be released: {'; '.join(problems)}")


def _is_superseded(model: LockedModel, workspace: Workspace) -> bool:
    """Tell whether the workspace is past a model's version, so that nothing can change it."""
    directory = workspace.root / "models" / model.name

    def read(path: str) -> str:
        file = directory / path
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    now = declared_version(read)
    return now is None or numbers(now) > numbers(model.version)


def _written(directory: Path) -> tuple[Path, ...]:
    """Return what a release writes into a composition's directory."""
    names = ("composition.toml", "lock.toml", "lock", "CHANGELOG.md")
    return tuple(directory / name for name in names)


def _raise_version(directory: Path, version: str) -> None:
    file = directory / "composition.toml"
    document = tomlkit.parse(file.read_bytes().decode("utf-8"))
    document["version"] = version
    file.write_bytes(tomlkit.dumps(document).encode())


def _lock_anew(name: str, workspace: Workspace) -> None:
    directory = workspace.composition(name)
    manifest = Manifest.parse(directory / "composition.toml")
    wheels = wheels_of(manifest, workspace=workspace)
    lock_manifest(manifest, wheels, previous=Lock.read(directory)).write(directory)


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


def _write_documents(lock: Lock, workspace: Workspace) -> None:
    place = _documents_of(lock.name, lock.version, workspace)
    with workspace.store.replacing(place) as draft:
        for path, content in _documents(lock, workspace).items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_bytes(content)


def _documents(lock: Lock, workspace: Workspace) -> Mapping[str, bytes]:
    """Return what belongs to a release beside its image."""
    directory = workspace.composition(lock.name)
    names = ["composition.toml", "lock.toml"]
    names += [f"lock/{environment.name}.txt" for environment in lock.environments]
    return {name: (directory / name).read_bytes() for name in names}


def _record(lock: Lock, workspace: Workspace, engines: Sequence[Engine]) -> None:
    """Commit what the release wrote and tag it; both, or none."""
    root, place = workspace.root, f"compositions/{lock.name}"
    title = f"Release {lock.name} {lock.version}"
    images = {f"Image-{e.name}": e.find_image(image_name(lock, e)) or "" for e in engines}
    before = git("rev-parse", "HEAD", cwd=root).strip()
    try:
        git("add", "--", place, cwd=root)
        if git("status", "--porcelain", "--", place, cwd=root):
            git("commit", "--quiet", "--only", "-m", title, "--", place, cwd=root)
        write_tag(
            "compositions",
            lock.name,
            lock.version,
            subject=title,
            trailers={"Lock": lock.digest, **images},
            root=root,
        )
    except BaseException:
        if tag := find_tag("compositions", lock.name, lock.version, root=root):
            git("tag", "--delete", tag.tag, cwd=root)
        git("reset", "--quiet", "--soft", before, cwd=root)
        git("reset", "--quiet", "--", place, cwd=root)
        raise


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

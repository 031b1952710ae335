"""What differs from the lock in an image is found and named, whatever it is."""

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import saving
import tiny
from saving import Draft

from stevedore_build.errors import ImageUnreadable, WorkspaceInvalid
from stevedore_build.images.archives import SavedImage
from stevedore_build.images.engines import PODMAN
from stevedore_build.images.verifying import BaseImage, compare, verify_image, verify_saved
from stevedore_build.layouts.layers import Layer, layers_of
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Composed:
    """A tiny composition, locked and made into layers."""

    workspace: Workspace
    manifest: Manifest
    lock: Lock
    layers: tuple[Layer, ...]

    def draft(self) -> Draft:
        """Return its image, as a build makes it."""
        store = self.workspace.store
        return saving.draft_of(self.lock, base=saving.base_of(), layers=self.layers, store=store)

    def place(self, name: str) -> int:
        """Return which layer of the image one is; the base is 0."""
        return [layer.name for layer in self.layers].index(name) + 1


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The composition `pair` with one third-party distribution; no test changes it."""
    room = tmp_path_factory.mktemp("verifying")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_OFFLINE", "1")
        patch.setenv("UV_FIND_LINKS", str(room / "index"))
        patch.setenv("UV_CACHE_DIR", str(room / "uv-cache"))
        tiny.write_wheel(room / "index", "alpha", files={"alpha/__init__.py": "ANSWER = 42\n"})
        workspace = tiny.make_repository(room / "repository")
        tiny.add_model(workspace.root, "iris", requires=["alpha"])
        tiny.track(workspace.root)
        directory = workspace.composition("pair")
        manifest = Manifest.parse(directory / "composition.toml")
        lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
        lock.write(directory)
        layers = layers_of(
            manifest, lock, store=workspace.store, platform=LINUX_AMD64, libraries=None
        )
        yield Composed(workspace=workspace, manifest=manifest, lock=lock, layers=layers)


def found(composed: Composed, draft: Draft, room: Path, base: BaseImage | None = None) -> list[str]:
    """Compare a draft with what its lock gives."""
    return compare(
        SavedImage.read(draft.save(room / "image.tar")),
        composed.lock,
        base=base or saving.base_of(),
        layers=composed.layers,
        store=composed.workspace.store,
    )


def test_image_as_built(composed: Composed, tmp_path: Path) -> None:
    """Made anew in an empty store, everything is the same."""
    saved = SavedImage.read(composed.draft().save(tmp_path / "image.tar"))
    verified = verify_saved(
        saved,
        composed.manifest,
        composed.lock,
        base=saving.base_of(),
        workspace=composed.workspace,
        any_lock=False,
    )
    assert verified.differences == ()
    assert list(composed.workspace.store.drafts.iterdir()) == []


def flip(entry: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Flip one bit of one byte of one file."""
    if entry.name.endswith("alpha/__init__.py"):
        content = bytes([content[0] ^ 1]) + content[1:]
    return entry, content


def set_user_bit(entry: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Give one file the right to run as its owner, who is another."""
    if entry.name.endswith("alpha/__init__.py"):
        entry.mode, entry.uid = 0o4755, 7
    return entry, content


def add_capability(entry: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Give one file an attribute that no mode shows."""
    if entry.name.endswith("alpha/__init__.py"):
        entry.pax_headers = {"SCHILY.xattr.security.capability": "all"}
    return entry, content


def link(entry: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Put a link in the place of one file."""
    if entry.name.endswith("alpha/__init__.py"):
        entry.type, entry.linkname, content = tarfile.SYMTYPE, "/etc/passwd", b""
    return entry, content


def leave_out(entry: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
    """Leave one file out."""
    return None if entry.name.endswith("alpha/__init__.py") else (entry, content)


MODULE = "layer `environments/default`: `/opt/stevedore/environments/default/alpha/__init__.py`"


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (flip, "differs in content"),
        (set_user_bit, "differs in mode and owner"),
        (add_capability, "differs in attributes"),
        (link, "differs in kind and target and content"),
        (leave_out, "is missing"),
    ],
)
def test_changed_file(
    composed: Composed,
    tmp_path: Path,
    change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None],
    difference: str,
) -> None:
    """The layer and the file are named, also where all digests were brought into line."""
    draft = composed.draft()
    place = composed.place("environments/default")
    draft.layers[place] = saving.rewritten(draft.layers[place], change)
    assert found(composed, draft, tmp_path) == [f"{MODULE} {difference}"]


def test_damaged_layer(composed: Composed, tmp_path: Path) -> None:
    """Where the digests were not brought into line, that is said too."""
    draft = composed.draft()
    draft.digests = [saving.digest(layer) for layer in draft.layers]
    place = composed.place("environments/default")
    draft.layers[place] = saving.rewritten(draft.layers[place], flip)
    digest = saving.digest(draft.layers[place])
    told = draft.digests[place]
    assert found(composed, draft, tmp_path) == [
        f"layer {place + 1}: its digest is {digest}, the configuration says {told}",
        f"{MODULE} differs in content",
    ]


def test_changed_sbom(composed: Composed, tmp_path: Path) -> None:
    """The bill of materials is made anew as well."""

    def shorten(entry: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        return entry, b"{}" if entry.name.endswith("sbom.cdx.json") else content

    draft = composed.draft()
    draft.layers[-1] = saving.rewritten(draft.layers[-1], shorten)
    assert found(composed, draft, tmp_path) == [
        "layer `composition`: `/opt/stevedore/composition/sbom.cdx.json` differs in content"
    ]


def test_extra_layer(composed: Composed, tmp_path: Path) -> None:
    """A layer on top, what it adds and what it hides."""
    draft = composed.draft()
    draft.layers.append(
        saving.tar_of(etc__crontab="x", opt__stevedore__own__core__sitecustomize="y")
    )
    place = len(draft.layers)
    assert found(composed, draft, tmp_path) == [
        f"layer {place}, which no build adds: `/etc/crontab` was added",
        f"layer {place}, which no build adds: `/opt/stevedore/own/core/sitecustomize` was added",
    ]


def test_many_files(composed: Composed, tmp_path: Path) -> None:
    """Ten are named, the rest are counted."""
    draft = composed.draft()
    draft.layers.append(saving.tar_of(**{f"file{number:02}": "" for number in range(12)}))
    said = found(composed, draft, tmp_path)
    assert len(said) == 11
    assert said[-1] == f"layer {len(draft.layers)}, which no build adds: 2 more files differ"


def test_missing_layer(composed: Composed, tmp_path: Path) -> None:
    """The last layer is not there."""
    draft = composed.draft()
    del draft.layers[-1]
    assert found(composed, draft, tmp_path) == ["layer `composition`: missing"]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"User": "0:0"}, "`User`: expected `65532:65532`, found `0:0`"),
        ({"User": ""}, "`User`: expected `65532:65532`, found nothing"),
        (
            {"Cmd": ["sh"]},
            "`Cmd`: expected `['python3.11', '-S', '-m', 'stevedore_api']`, found `['sh']`",
        ),
        ({"Entrypoint": ["sh", "-c"]}, "`Entrypoint`: expected nothing, found `['sh', '-c']`"),
        ({"Volumes": {"/data": {}}}, "`Volumes /data`: expected nothing, found `{}`"),
        ({"WorkingDir": "/tmp"}, "`WorkingDir`: expected nothing, found `/tmp`"),  # noqa: S108
    ],
)
def test_changed_configuration(
    composed: Composed, tmp_path: Path, changed: dict[str, object], difference: str
) -> None:
    """Whatever a container would start with differently."""
    draft = composed.draft()
    draft.configuration |= changed
    assert found(composed, draft, tmp_path) == [f"configuration: {difference}"]


def test_changed_variable_label_and_probe(composed: Composed, tmp_path: Path) -> None:
    """Variables, labels and the health check are compared one by one."""
    draft = composed.draft()
    draft.configuration["Env"] = [*draft.configuration["Env"], "LD_PRELOAD=/evil.so"]
    draft.configuration["Labels"] = {**draft.configuration["Labels"], "maker": "me"}
    draft.configuration["Healthcheck"] = {"Test": ["NONE"]}
    said = found(composed, draft, tmp_path)
    assert said[0] == "configuration: `Env LD_PRELOAD`: expected nothing, found `/evil.so`"
    assert said[-1] == "configuration: `Labels maker`: expected `debian`, found `me`"
    assert {line.split("`")[1] for line in said[1:-1]} == {
        f"Healthcheck {part}" for part in ("Interval", "Retries", "StartPeriod", "Test", "Timeout")
    }


def test_other_base(composed: Composed, tmp_path: Path) -> None:
    """An image on another base than the one that is here says so in its layers and its labels."""
    other = replace(saving.base_of(), identity="sha256:" + "c" * 64, layers=("sha256:" + "d" * 64,))
    said = found(composed, composed.draft(), tmp_path, base=other)
    assert said[0] == (
        f"base: `slim:1` has {other.layers[0]} as layer 1, the image "
        f"{saving.digest(saving.BASE_LAYER)}"
    )
    assert [line.split("`")[1] for line in said[1:]] == [
        "Labels ml-py-stevedore.content",
        "Labels org.opencontainers.image.base.digest",
    ]


def test_other_lock(composed: Composed, tmp_path: Path) -> None:
    """An image may be right by its own lock, and not be what the workspace has locked."""
    kept = composed.workspace.composition("pair") / "lock.toml"
    text = kept.read_text()
    saved = SavedImage.read(composed.draft().save(tmp_path / "image.tar"))
    kept.write_text(text.replace('version = "1.0.0"', 'version = "1.0.1"', 1))
    ours = Lock.read(kept.parent)
    try:
        told = [
            verify_saved(
                saved,
                composed.manifest,
                composed.lock,
                base=saving.base_of(),
                workspace=composed.workspace,
                any_lock=any_lock,
            ).differences
            for any_lock in (False, True)
        ]
    finally:
        kept.write_text(text)
    assert told == [
        (
            (
                "lock: the workspace's `compositions/pair/lock.toml` is 1.0.1 with digest "
                f"{ours.digest}, the image's is 1.0.0 with digest {composed.lock.digest}"
            ),
        ),
        (),
    ]


def test_changed_wheel_in_the_store(composed: Composed, tmp_path: Path) -> None:
    """What verifies does not trust what was built here before: a wheel is known by its bytes."""
    model = composed.lock.model("digits")
    (wheel,) = (composed.workspace.store.wheels / model.sha256).glob("*.whl")
    content = wheel.read_bytes()
    wheel.write_bytes(content.replace(b"stevedore-model-digits", b"stevedore-model-digitz"))
    try:
        with pytest.raises(WorkspaceInvalid) as refused:
            verify_saved(
                SavedImage.read(composed.draft().save(tmp_path / "image.tar")),
                composed.manifest,
                composed.lock,
                base=saving.base_of(),
                workspace=composed.workspace,
                any_lock=False,
            )
    finally:
        wheel.write_bytes(content)
    assert str(refused.value) == (
        f"`stevedore-model-digits` 1.0.0 is locked with sha256 `{model.sha256}`, and this "
        "workspace builds another wheel; run `make lock`, or check out the commit that was locked"
    )


def test_no_image_of_a_composition(composed: Composed, tmp_path: Path) -> None:
    """An image without a lock cannot be held against one."""
    draft = Draft(configuration={}, layers=[saving.BASE_LAYER])
    archive = draft.save(tmp_path / "image.tar")
    with pytest.raises(ImageUnreadable) as refused:
        verify_image(str(archive), workspace=composed.workspace, engine=PODMAN)
    assert str(refused.value) == (
        "no layer holds `/opt/stevedore/composition/lock.toml`: this is no image of a composition"
    )


def test_no_archive(composed: Composed, tmp_path: Path) -> None:
    """A file that no engine wrote."""
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"nothing")
    with pytest.raises(ImageUnreadable) as refused:
        verify_image(str(archive), workspace=composed.workspace, engine=PODMAN)
    assert str(refused.value) == (
        "image.tar: expected one image as `podman save` or `docker save` writes it; it cannot be "
        "read: file could not be opened successfully:\n- method gz: ReadError('not a gzip file')\n"
        "- method bz2: ReadError('not a bzip2 file')\n- method xz: ReadError('not an lzma file')\n"
        "- method tar: ReadError('truncated header')"
    )

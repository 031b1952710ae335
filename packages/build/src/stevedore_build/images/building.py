"""A composition's image: layers on a base, and how it starts. Called by the command line.

An image says by a label what it was built from. While that stays the same it is not built again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stevedore_build.images.bases import Base
from stevedore_build.images.containerfile import Containerfile
from stevedore_build.images.directories import ImageDirectory
from stevedore_build.images.engines import Engine
from stevedore_build.images.tars import read_tar, tar_layer, tar_name
from stevedore_build.layouts.layers import SBOM, Layer
from stevedore_build.platforms import LINUX_AMD64, Platform
from stevedore_build.store import Store
from stevedore_core.layout import IMAGE_ROOT, Layout
from stevedore_core.lock import Lock

__all__ = [
    "CONTENT_LABEL",
    "IMAGE_PORT",
    "IMAGE_USER",
    "Image",
    "build_image",
    "containerfile_of",
    "image_name",
    "probe_command",
    "write_context",
]

IMAGE_PORT: Final = 8000
"""Where the front listens inside a container, unless `STEVEDORE_PORT` says otherwise."""

IMAGE_USER: Final = "65532:65532"
"""Numeric, so that whoever runs the image can see that it is not root. Any other works too."""

_RUN: Final = ("-S", "-m")
"""How Python runs a module of ours: nothing that the base has installed beside it is seen."""

CONTENT_LABEL: Final = "ml-py-stevedore.content"
"""The label with the digest of all that an image was built from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A composition's image in an engine.

    `built` says whether that was done just now. `layer_bytes` pairs the base and each layer with
    its size in bytes.
    """

    reference: str
    identity: str
    python: str
    built: bool
    layer_bytes: tuple[tuple[str, int], ...]


def probe_command(python: str) -> tuple[str, ...]:
    """Return what tells, inside a container, whether its server is ready."""
    return (f"python{python}", *_RUN, "stevedore_api.probe")


def image_name(lock: Lock, engine: Engine, platform: Platform = LINUX_AMD64) -> str:
    """Return what a composition's image is called in an engine."""
    suffix = "" if platform == LINUX_AMD64 else f"-{platform.architecture}"
    return f"{engine.local}{lock.name}:{lock.version}{suffix}"


def containerfile_of(
    lock: Lock, *, base: str, base_name: str, layers: Sequence[Layer]
) -> Containerfile:
    """Return the Containerfile of a composition on the image `base`, which people call `base_name`.

    Raises `ContainerfileRefused` for a value that may not stand in one.
    """
    python = f"python{lock.python}"
    front_path = Layout(root=IMAGE_ROOT).front_path()
    unlabelled = Containerfile(
        base=base,
        tars=tuple(tar_name(layer) for layer in layers),
        environment=(
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
            ("PYTHONPATH", ":".join(str(directory) for directory in front_path)),
            ("PYTHONSAFEPATH", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONUNBUFFERED", "1"),
            ("STEVEDORE_LAYOUT", str(IMAGE_ROOT)),
            # A container's own network is the only way in, so all of it is listened to.
            ("STEVEDORE_HOST", "0.0.0.0"),  # noqa: S104 - see above
            ("STEVEDORE_PORT", str(IMAGE_PORT)),
        ),
        labels=(
            ("org.opencontainers.image.title", lock.name),
            ("org.opencontainers.image.version", lock.version),
            ("org.opencontainers.image.base.name", base_name),
            ("org.opencontainers.image.base.digest", base),
            ("ml-py-stevedore.lock", f"sha256:{lock.digest}"),
            ("ml-py-stevedore.models", ",".join(f"{m.name}={m.version}" for m in lock.models)),
            ("ml-py-stevedore.python", lock.python),
            ("ml-py-stevedore.sbom", str(Layout(root=IMAGE_ROOT).composition / SBOM)),
        ),
        user=IMAGE_USER,
        port=IMAGE_PORT,
        probe=probe_command(lock.python),
        command=(python, *_RUN, "stevedore_api"),
    )
    content = hashlib.sha256(unlabelled.text().encode()).hexdigest()
    return replace(unlabelled, labels=(*unlabelled.labels, (CONTENT_LABEL, f"sha256:{content}")))


def write_context(containerfile: Containerfile, layers: Sequence[Layer], store: Store) -> Path:
    """Return the directory with the Containerfile and its tars: all that any engine needs."""
    content = dict(containerfile.labels)[CONTENT_LABEL].removeprefix("sha256:")
    context = store.contexts / content
    tars = [tar_layer(layer, store) for layer in layers]
    if not context.exists():
        with store.adding(context) as draft:
            draft.mkdir()
            for tar in tars:
                (draft / tar.name).hardlink_to(tar)
            (draft / "Containerfile").write_text(containerfile.text(), encoding="utf-8")
    return context


def build_image(  # noqa: PLR0913 - each is a part of the image
    lock: Lock,
    *,
    engine: Engine,
    base: Base,
    layers: Sequence[Layer],
    store: Store,
    platform: Platform = LINUX_AMD64,
) -> Image:
    """Return the composition's image, built if the engine does not have it yet.

    The name moves only when the whole image is there. Raises `EngineFailed`.
    """
    reference = image_name(lock, engine, platform)
    containerfile = containerfile_of(lock, base=base.image, base_name=base.reference, layers=layers)
    wanted = dict(containerfile.labels)[CONTENT_LABEL]
    identity = engine.find_image(reference)
    built = identity is None or engine.labels(identity).get(CONTENT_LABEL) != wanted
    if identity is None or built:
        if engine.loads_directories:
            directory = ImageDirectory(
                instructions=containerfile.text(),
                configuration=containerfile.configuration(engine.configuration(base.image)),
                below=engine.layers(base.image),
                tars=[read_tar(layer, store) for layer in layers],
                platform=platform,
            )
            identity = directory.load(engine, store=store)
        else:
            identity = engine.build(write_context(containerfile, layers, store), platform=platform)
        engine.run("tag", identity, reference)
    sizes = [(layer.name, tar_layer(layer, store).stat().st_size) for layer in layers]
    return Image(
        reference=reference,
        identity=identity,
        python=lock.python,
        built=built,
        layer_bytes=(("base", engine.size_bytes(base.image)), *sizes),
    )

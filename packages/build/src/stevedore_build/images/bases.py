"""The base image that layers stand on: found, made, and checked before a layer is built.

Called by the command line (`make base`) and by `composing`. This is the only place where something
runs while an image is made; a composition's own image only adds layers to a base.
"""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from stevedore_build.errors import BaseUnusable, EngineFailed
from stevedore_build.images.directories import ImageDirectory, ImageTar
from stevedore_build.images.engines import Engine
from stevedore_build.images.rootfs import RootFilesystem
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.platforms import LINUX_AMD64, Platform, host_platform
from stevedore_build.store import Store

__all__ = ["Base", "base_name", "check_base", "find_base", "make_base"]

_SUITES = {"3.11": "bookworm"}
"""Which Debian brings which Python: its minor to the name of the release."""

_SYSTEM_LIBRARIES = ("libgomp1", "libstdc++6")
"""What wheels of numeric libraries expect from the system."""

_DEBIAN_LAYER = "debian.tar"
_FROM_DEBIAN = f"FROM scratch\nADD {_DEBIAN_LAYER} /\n"

_UNUSED = ("doc", "man", "locale", "info", "lintian")
"""What nobody reads in a container, below `/usr/share`."""

_CONFIGURED_BY_HAND = ("base-files", "base-passwd")
_CONFIGURE = (
    'cp "$1/usr/share/base-files/nsswitch.conf" "$1/etc/nsswitch.conf"',
    'cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"',
    'cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"',
)
"""What these packages' own scripts would do, where they cannot be run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """A base image that passed its checks. `image` is its id, `reference` what people call it."""

    reference: str
    image: str
    libraries: tuple[str, ...]


def base_name(python: str, platform: Platform = LINUX_AMD64) -> str:
    """Return the name under which `make_base` leaves the base for a Python minor."""
    suffix = "" if platform == LINUX_AMD64 else f"-{platform.architecture}"
    return f"localhost/ml-py-stevedore-base:{_suite(python)}-py{python}{suffix}"


def find_base(
    engine: Engine, *, reference: str | None, python: str, platform: Platform, store: Store
) -> Base:
    """Return the base to build on, made or pulled if it is not here, and checked.

    `reference` is what the manifest names; without one it is our own base for `python`.
    Facts about an image are kept in `store`, so the second time this asks only for its id.
    """
    if reference is None:
        reference = base_name(python, platform)
        if engine.find_image(reference) is None:
            make_base(engine, python=python, platform=platform, store=store)
    elif engine.find_image(reference) is None:
        _pull(engine, reference, platform)
    return check_base(engine, reference=reference, python=python, platform=platform, store=store)


def check_base(
    engine: Engine, *, reference: str, python: str, platform: Platform, store: Store
) -> Base:
    """Return the local image `reference` as a base. Raises `BaseUnusable` with every reason."""
    image = engine.find_image(reference)
    if image is None:
        raise BaseUnusable(f"base `{reference}`: {engine.name} has no such image")
    found = _facts(engine, image, store)
    problems = list(found.problems(python=python, architecture=platform.architecture))
    if problems:
        advice = "name another base under `[image] base`, or leave it out to have ours"
        raise BaseUnusable(f"base `{reference}`: {'; '.join(problems)}; {advice}")
    return Base(reference=reference, image=image, libraries=found.libraries)


def make_base(
    engine: Engine, *, python: str, platform: Platform, store: Store, renew: bool = False
) -> str:
    """Make our base for a Python minor, give it its name and return its id.

    From the Python project's slim image where a container registry answers, else from Debian's
    packages. What Debian gave is kept in `store` and used again unless `renew`. For another kind of
    processor the packages are only unpacked: nothing of the base runs here.
    """
    parent = f"python:{python}-slim-{_suite(python)}"
    try:
        _pull_to_run(engine, parent, platform)
    except BaseUnusable as unusable:
        tar = store.bases / f"{_suite(python)}-py{python}-{platform.architecture}.tar"
        if renew or not tar.exists():
            with store.replacing(tar) as draft:
                _bootstrap(python, platform, draft, store, unusable)
        image = _build(engine, _FROM_DEBIAN, tar, platform, store)
    else:
        image = _build(engine, _from_slim(parent, python), None, platform, store)
    engine.run("tag", image, base_name(python, platform))
    return image


def _pull_to_run(engine: Engine, reference: str, platform: Platform) -> None:
    if not _runs_here(platform):
        raise BaseUnusable(f"nothing for {platform.name} can be run on this machine")
    _pull(engine, reference, platform)


def _runs_here(platform: Platform) -> bool:
    return platform.architecture == host_platform().architecture


def _suite(python: str) -> str:
    if python not in _SUITES:
        known = ", ".join(f"`{minor}`" for minor in _SUITES)
        raise BaseUnusable(
            f"there is no base of ours for Python `{python}`, only for {known}; "
            "name one under `[image] base`"
        )
    return _SUITES[python]


def _pull(engine: Engine, reference: str, platform: Platform) -> None:
    try:
        engine.run("pull", "--platform", platform.name, reference)
    except EngineFailed as failed:
        message = f"base `{reference}` is neither here nor can it be pulled: {failed}"
        raise BaseUnusable(message) from failed


def _facts(engine: Engine, image: str, store: Store) -> RootFilesystem:
    known = store.bases / f"{image.removeprefix('sha256:')}.json"
    if known.exists():
        kept = json.loads(known.read_text())
        return RootFilesystem(
            pythons=tuple(kept["pythons"]),
            architecture=kept["architecture"],
            libraries=tuple(kept["libraries"]),
        )
    with tempfile.TemporaryDirectory() as room:
        tar = Path(room) / "root.tar"
        engine.export(image, tar)
        found = RootFilesystem.read(tar)
    store.write(known, json.dumps(asdict(found)))
    return found


def _build(
    engine: Engine, containerfile: str, tar: Path | None, platform: Platform, store: Store
) -> str:
    """Make an image of what the Containerfile says; with podman its id is the same each time."""
    if not engine.loads_directories:
        return _build_in(engine, containerfile, tar, platform)
    built = None if tar else _build_in(engine, containerfile, None, platform)
    configuration = engine.configuration(built) if built else {}
    # Another version of podman is to give the same image too.
    (configuration.get("Labels") or {}).pop("io.buildah.version", None)
    directory = ImageDirectory(
        instructions=containerfile,
        configuration=configuration,
        below=engine.layers(built) if built else (),
        tars=[ImageTar.read(tar)] if tar else (),
        platform=platform,
    )
    return directory.load(engine, store=store)


def _build_in(engine: Engine, containerfile: str, tar: Path | None, platform: Platform) -> str:
    with tempfile.TemporaryDirectory(dir=tar.parent if tar else None) as room:
        context = Path(room)
        (context / "Containerfile").write_text(containerfile)
        if tar:
            (context / _DEBIAN_LAYER).hardlink_to(tar)
        return engine.build(context, platform=platform)


def _from_slim(parent: str, python: str) -> str:
    # The slim image ships without bytecode, which a read-only container could never keep.
    return (
        f"FROM {parent}\n"
        "RUN apt-get update"
        f" && apt-get install -y --no-install-recommends {' '.join(_SYSTEM_LIBRARIES)}"
        " && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*"
        f" && {_compile(f'python{python}', f'/usr/local/lib/python{python}')}\n"
    )


def _compile(program: str, what: str) -> str:
    """Return the command that compiles the standard library to the same bytes each time."""
    mode = "--invalidation-mode unchecked-hash"
    return f"env PYTHONHASHSEED=0 {program} -m compileall -q -f {mode} {what}"


def _bootstrap(
    python: str, platform: Platform, tar: Path, store: Store, unusable: BaseUnusable
) -> None:
    if shutil.which("mmdebstrap") is None:
        raise BaseUnusable(
            f"{unusable}; a base from Debian's packages needs `mmdebstrap`, which is not "
            "installed (on Debian `apt-get install mmdebstrap`)"
        )
    done = subprocess.run(  # noqa: S603 - arguments of our making
        _bootstrap_arguments(python, platform, tar, store),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        # Every time in the tar becomes this one: the same packages give the same bytes.
        env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
    )
    if done.returncode != 0:
        said = "\n".join(done.stderr.splitlines()[-5:])
        raise BaseUnusable(f"`mmdebstrap` failed with exit code {done.returncode}:\n{said}")


def _bootstrap_arguments(python: str, platform: Platform, tar: Path, store: Store) -> list[str]:
    # `usr-is-merged` instead of `usrmerge`, which would bring the whole of Perl along.
    packages = [f"python{python}", *_SYSTEM_LIBRARIES, "usr-is-merged"]
    library = f"/usr/lib/python{python}"
    if _runs_here(platform):
        variant = "essential"
        finish = [f'chroot "$1" {_compile(f"python{python}", library)}']
    else:
        variant = "extract"
        packages += _CONFIGURED_BY_HAND
        # With this machine's Python: bytecode fits any processor.
        program = shlex.quote(str(find_interpreter(python, store=store).program))
        finish = [*_CONFIGURE, _compile(program, f'-s "$1" -p / "$1{library}"')]
    hooks = [
        *(f'rm -rf "$1/usr/share/{name}"' for name in _UNUSED if variant == "extract"),
        f'rm -rf "$1{library}/test"',
        f'find "$1{library}" -name __pycache__ -prune -exec rm -rf {{}} +',
        *finish,
        # Both come from the machine that builds; engines give a container its own.
        'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
        'rm -rf "$1/etc/apt/sources.list" "$1/etc/apt/sources.list.d"',
    ]
    return [
        "mmdebstrap",
        "--quiet",
        f"--variant={variant}",
        f"--architectures={platform.architecture}",
        f"--include={','.join(packages)}",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNUSED),
        *(f"--customize-hook={hook}" for hook in hooks),
        _suite(python),
        str(tar),
    ]

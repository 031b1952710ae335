"""The same commit gives the same image, whoever builds it, wherever, whenever and however."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rooms import Room, make_room_of, make_tiny_room

ROOT = Path(__file__).parents[3]

SHUFFLED = """
import os, random
listed = os.listdir
os.listdir = lambda path=".": random.sample(found := listed(path), len(found))
"""

UMASK_SHOWS = """
import stevedore_build.layouts.layers, stevedore_build.images.tars as tars
plain = tars._file
def file(name, found):
    entry = plain(name, found)
    entry.mode = found.st_mode & 0o777
    return entry
tars._file = file
stevedore_build.layouts.layers.set_modes = lambda directory: None
"""

AS_NOBODY = """
set -e
cd "$1"; shift
mount --bind passwd /etc/passwd
mount --bind group /etc/group
mount --bind subid /etc/subuid
mount --bind subid /etc/subgid
{open}
mount --make-rshared /
cd "$OLDPWD"
exec setpriv --reuid=12345 --regid=12345 --clear-groups "$@"
"""


@pytest.fixture(scope="module")
def places() -> Iterator[Callable[[str], Path]]:
    """Directories that another user may enter, gone in the end."""
    made: list[Path] = []

    def make(within: str = "") -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="stevedore-room-", dir=within or None)))
        made[-1].chmod(0o755)
        return made[-1]

    yield make
    for place in made:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def template(places: Callable[..., Path]) -> Room:
    """What is built: the smallest repository, or at full scale this one's composition `bundle`."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        required = os.environ.get("STEVEDORE_REQUIRE_ENGINE") == "1"
        reason = f"needs root, and {', '.join(missing or NEEDED)}"
        (pytest.fail if required else pytest.skip)(reason)
    if os.environ.get("STEVEDORE_FAULT_SCALE") == "full":
        return make_room_of(ROOT, places(), composition="bundle")
    return make_tiny_room(places())


def build_in(  # noqa: PLR0913 - each is a condition of the build
    template: Room,
    root: Path,
    *,
    wrapper: tuple[str, ...] = (),
    variables: tuple[tuple[str, str], ...] = (),
    patch: str = "",
    umask: int = -1,
) -> str:
    """Build from nothing in a room of its own, and return the image's id."""
    room = template.copy(root, wrapper=wrapper).with_variables(**dict(variables))
    try:
        room.load_base()
        return room.build(patch=patch, umask=umask)
    finally:
        room.clear()


@pytest.fixture(scope="module")
def plain(template: Room, places: Callable[..., Path]) -> str:
    """The image that is built where nothing is special."""
    return build_in(template, places())


def other_directory(template: Room, places: Callable[..., Path]) -> str:
    """The directory's name is longer, and has a blank and an umlaut in it."""
    return build_in(template, places() / "a much longer näme" / "below it")


def umask_077(template: Room, places: Callable[..., Path]) -> str:
    """What is written can be read by nobody else."""
    return build_in(template, places(), umask=0o077)


def umask_000(template: Room, places: Callable[..., Path]) -> str:
    """What is written can be written by everybody."""
    return build_in(template, places(), umask=0)


def later(template: Room, places: Callable[..., Path]) -> str:
    """It is forty days later, in the eyes of everything that asks the C library."""
    return build_in(template, places(), wrapper=("faketime", "-f", "+40d"))


def other_hostname(template: Room, places: Callable[..., Path]) -> str:
    """The machine is called something else."""
    wrapper = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh")
    return build_in(template, places(), wrapper=wrapper)


def other_locale(template: Room, places: Callable[..., Path]) -> str:
    """Messages are in ASCII, and the clock is that of Kiritimati."""
    variables = (("LC_ALL", "C"), ("LANG", "C"), ("TZ", "Pacific/Kiritimati"))
    return build_in(template, places(), variables=variables)


def other_order(template: Room, places: Callable[..., Path]) -> str:
    """Directories list their files in the order of another file system, and shuffled."""
    return build_in(template, places("/dev/shm"), patch=SHUFFLED)  # noqa: S108 - a file system


def one_processor(template: Room, places: Callable[..., Path]) -> str:
    """There is one processor."""
    return build_in(template, places(), wrapper=("taskset", "--cpu-list", "0"))


def opened_python() -> str:
    """Return shell that lets others reach this Python where it lies in somebody's home."""
    python = Path(sys.base_prefix).resolve()
    for closed in reversed(python.parents):
        if not closed.stat().st_mode & 0o001:
            inside = python.relative_to(closed).parts[0]
            return (
                f"mkdir -p opened/{inside}; mount --rbind {closed}/{inside} opened/{inside}; "
                f"mount --rbind opened {closed}"
            )
    return ""


def other_user(template: Room, places: Callable[..., Path]) -> str:
    """It is built by a user without any right, in an engine without root."""
    root = places()
    for name, line in (
        ("passwd", "builder:x:12345:12345::/:/bin/sh\n"),
        ("group", "builder:x:12345:\n"),
    ):
        (root / name).write_text(Path("/etc", name).read_text("utf-8") + line)
    (root / "subid").write_text("builder:200000:65536\n")
    script = AS_NOBODY.format(open=opened_python())
    wrapper = ("unshare", "--mount", "sh", "-c", script, "sh", str(root))
    room = template.copy(root, wrapper=wrapper)
    if ("UV_OFFLINE", "1") not in room.variables:
        room = room.with_variables(UV_CACHE_DIR=str(root / "uv-cache"))  # root's is not for others
    subprocess.run(["chown", "--recursive", "12345:12345", str(root)], check=True)
    try:
        room.load_base()
        return room.build()
    finally:
        room.clear()


def all_at_once(template: Room, places: Callable[..., Path]) -> str:
    """Everything that goes together is different."""
    return build_in(
        template,
        places("/dev/shm"),  # noqa: S108 - another file system
        wrapper=(
            *("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"),
            *("faketime", "-f", "+40d"),
            *("taskset", "--cpu-list", "0"),
        ),
        variables=(("LC_ALL", "C"), ("LANG", "C"), ("TZ", "Pacific/Kiritimati")),
        patch=SHUFFLED,
        umask=0o077,
    )


FEW = (other_user, all_at_once)
ALL = (
    *(other_directory, umask_077, umask_000, later, other_hostname, other_locale),
    *(other_order, other_user, all_at_once),
)
NEEDED = ("podman", "unshare", "setpriv", "faketime", "taskset")


@pytest.mark.fault("G10")
def test_one_image(
    template: Room,
    plain: str,
    places: Callable[..., Path],
    scale: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """Directory, user, umask, time, hostname, locale, order of files, processors: one image id."""
    builds = (FEW, ALL)[scale(0, 1)]
    found = {"plain": plain} | {build.__name__: build(template, places) for build in builds}
    assert len(set(found.values())) == 1, found
    figure(f"{len(found)} builds, each in another way, of `{template.composition}`: 1 image id")


@pytest.mark.control("G10")
def test_something_seeps_in(template: Room, plain: str, places: Callable[..., Path]) -> None:
    """A build that lets the umask into a layer is found out."""
    assert build_in(template, places(), patch=UMASK_SHOWS, umask=0o77) != plain

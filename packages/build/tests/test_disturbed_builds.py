"""Builds that are interrupted, that find no room, or that run beside each other."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rooms import BASE, Room, contents, make_tiny_room

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A room with the smallest repository and its base."""
    if shutil.which("podman") is None or os.getuid() != 0:
        required = os.environ.get("STEVEDORE_REQUIRE_ENGINE") == "1"
        (pytest.fail if required else pytest.skip)("needs podman, and root for a storage apart")
    made = make_tiny_room(tmp_path_factory.mktemp("room"))
    yield made
    made.clear()


@pytest.fixture
def forget(room: Room, scale: Callable[[int, int], int]) -> Callable[[], None]:
    """Remove everything that builds made; wheels only at full scale, as they take a while."""

    def forget() -> None:
        room.engine.run("rmi", "--all", "--force")
        room.load_base()
        for place in room.store.glob("*"):
            if scale(0, 1) or place.name not in ("wheels", "pythons"):
                shutil.rmtree(place, ignore_errors=True)

    return forget


@dataclass(frozen=True, kw_only=True, slots=True)
class Undisturbed:
    """What builds come to that nothing disturbs: images, and the store with one and with all."""

    images: dict[str, str]
    store_with_pair: dict[str, dict[str, str]]
    store: dict[str, dict[str, str]]
    took_s: float


@pytest.fixture(scope="module")
def undisturbed(room: Room) -> Undisturbed:
    """Each composition built once, with wheels that are there."""
    room.load_base()
    began = time.monotonic()
    images = {"pair": room.build()}
    took_s = time.monotonic() - began
    store_with_pair = whole(room)
    images |= {name: room.build(composition=name) for name in ("other", "bulky")}
    return Undisturbed(
        images=images, store_with_pair=store_with_pair, store=whole(room), took_s=took_s
    )


def whole(room: Room) -> dict[str, dict[str, str]]:
    """Return what the store holds as whole: each entry's files, drafts left out."""
    return {
        f"{kind}/{entry.name}": contents(entry)
        if entry.is_dir()
        else {"": entry.read_bytes().hex()}
        for kind in ("layers", "tars", "contexts")
        for entry in (room.store / kind).glob("*")
    }


def half_written(room: Room, right: dict[str, dict[str, str]]) -> list[str]:
    """Return which entries of the store are not what an undisturbed build makes of them."""
    return [name for name, found in whole(room).items() if found != right.get(name)]


def left_over(room: Room) -> list[Path]:
    """Return what is there and should be gone: drafts, and temporary files of any program."""
    places = (room.store / "drafts", room.root / "tmp")
    return [path for place in places for path in place.glob("*")]


def interrupt(room: Room, after_s: float, by: signal.Signals) -> int:
    """Build, interrupt the process group after some seconds, and return how it ended."""
    with room.start() as process:
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, by)
        process.communicate(timeout=60)
    # The engine is apart from the terminal, and ends by itself what it was told to do.
    give_up = time.monotonic() + 60
    working = ["pgrep", "--full", f"^podman .*{room.root}"]
    while subprocess.run(working, capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < give_up, "podman does not end"
        time.sleep(0.1)
    return process.returncode


@pytest.mark.fault("G7")
def test_interrupted(
    room: Room,
    undisturbed: Undisturbed,
    forget: Callable[[], None],
    scale: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """Whenever it is interrupted, nothing half gets a name, and the next build is right."""
    right, reference = undisturbed.images["pair"], undisturbed.store_with_pair
    chance = random.Random(7)
    rounds, interrupted = scale(2, 20), 0
    for number in range(rounds):
        forget()
        room.engine.run("tag", BASE, room.reference())
        older = room.image()
        code = interrupt(
            room, chance.uniform(0.1, undisturbed.took_s), SIGNALS[-1 - number % len(SIGNALS)]
        )
        interrupted += code != 0
        assert room.image() in ((right,) if code == 0 else (older, right))
        assert room.containers() == []
        assert half_written(room, reference) == []
        assert room.build() == right
        assert whole(room) == reference
        assert left_over(room) == []
    assert interrupted > rounds / 2
    figure(
        f"{rounds} builds, {interrupted} of them cut off by SIGINT, SIGTERM or SIGKILL: 0 names "
        f"moved to half an image, 0 containers, {rounds} of {rounds} next builds right, 0 left over"
    )


CUT_OFF_WHILE_WRITING = """
import os, signal
from stevedore_build.images import tars
write = tars._write
def half(layer, tar):
    write(layer, tar)
    os.truncate(tar, 100)
    os.killpg(0, signal.SIGKILL)
tars._write = half
"""

WRITES_IN_PLACE = """
from contextlib import contextmanager
from stevedore_build.store import Store
@contextmanager
def in_place(self, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path
Store.replacing = Store.adding = in_place
"""


@pytest.mark.control("G7")
def test_half_written_is_seen(
    room: Room, undisturbed: Undisturbed, forget: Callable[[], None]
) -> None:
    """A store that writes in place is caught with half a tar, ours only with drafts."""
    forget()
    reference = undisturbed.store
    for patch, seen in ((CUT_OFF_WHILE_WRITING, 0), (WRITES_IN_PLACE + CUT_OFF_WHILE_WRITING, 1)):
        shutil.rmtree(room.store / "tars", ignore_errors=True)
        with room.start(patch=patch) as process:
            process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert len(half_written(room, reference)) == seen
        assert left_over(room) != []


IN_LITTLE_ROOM = """
set -e
mount -t tmpfs -o size="$1" tmpfs "$2"
podman load --quiet --input base.tar >/dev/null
cd repository
shift 2
set +e
"$@"
code=$?
set -e
cd ..
find repository/.stevedore/drafts tmp -mindepth 1 2>/dev/null || true
podman ps --all --external --quiet
podman image exists localhost/bulky:1.0.0 && echo named
exit $code
"""


def build_in_little_room(
    room: Room, place: str, size: str, patch: str = ""
) -> tuple[int, list[str], str]:
    """Build where `place` has little room; return the exit code, what is left, what was said."""
    (room.root / place).mkdir(exist_ok=True)
    wrapper = ("unshare", "--mount", "sh", "-c", IN_LITTLE_ROOM, "sh", size, place)
    inside = replace(room, wrapper=wrapper, at=room.root)
    with inside.start(patch=patch, composition="bulky") as process:
        printed, said = process.communicate(timeout=120)
    return process.returncode, printed.splitlines(), said


@pytest.mark.fault("G6")
def test_disk_full(
    room: Room,
    forget: Callable[[], None],
    scale: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """Wherever the room ends, a sentence says so; no name, no container, no draft is left."""
    forget()
    sizes = ("20m", "10m", "2m", "500k")[: scale(1, 4)]
    places = [*(("repository/.stevedore", size) for size in sizes), ("storage", "10m")]
    for place, size in places:
        code, left, said = build_in_little_room(room, place, size)
        assert (code, left) == (1, []), (place, size, said)
        assert "o space left on device" in said, (place, size, said)
        assert "Traceback" not in said
    figure(f"{len(places)} places and sizes up to 20 MB: {len(places)} sentences, 0 left over")


NEVER_TIDIES = "import shutil; shutil.rmtree = lambda *_, **__: None"


@pytest.mark.control("G6")
def test_left_over_is_seen(room: Room, forget: Callable[[], None]) -> None:
    """A build that does not tidy up is seen to leave drafts; one with room enough ends well."""
    forget()
    code, left, _ = build_in_little_room(room, "repository/.stevedore", "20m", NEVER_TIDIES)
    assert code == 1
    assert any(line.startswith("repository/.stevedore/drafts/") for line in left)
    code, left, _ = build_in_little_room(room, "repository/.stevedore", "200m")
    assert (code, left[-1]) == (0, "named")


@pytest.mark.fault("G8")
def test_at_once(
    room: Room,
    undisturbed: Undisturbed,
    forget: Callable[[], None],
    scale: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """Builds of one composition and of another, begun at once from nothing, are all right."""
    rounds, builds = scale(1, 10), ("pair", "pair", "other", "bulky", "other")[: scale(4, 5)]
    for _ in range(rounds):
        forget()
        started = [room.start(composition=name) for name in builds]
        said = [process.communicate(timeout=300)[1] for process in started]
        assert [process.returncode for process in started] == [0] * len(builds), said
        assert {name: room.image(name) for name in builds} == undisturbed.images
        assert whole(room) == undisturbed.store
        assert (room.containers(), left_over(room)) == ([], [])
    figure(f"{rounds * len(builds)} builds, {len(builds)} at once: 0 wrong images")


SLOW_IN_PLACE = f"""{WRITES_IN_PLACE}
import time
import stevedore_build.layouts.layers as layers
layers.compile_bytecode = lambda *_, **__: time.sleep(30)
"""


@pytest.mark.control("G8")
def test_a_look_at_the_unfinished_is_seen(
    room: Room, undisturbed: Undisturbed, forget: Callable[[], None]
) -> None:
    """Were layers made in place, a second build would take half of one for a whole one."""
    forget()
    with room.start(patch=SLOW_IN_PLACE) as slow:
        while not list((room.store / "layers").glob("*/*")):
            time.sleep(0.05)
        assert room.build() != undisturbed.images["pair"]
        os.killpg(slow.pid, signal.SIGKILL)
        slow.communicate()

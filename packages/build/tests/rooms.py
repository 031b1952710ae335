"""A repository, its store and an engine's storage that nobody else sees: rooms to build images in.

Tests of builds that are disturbed, repeated under other conditions or run beside each other share
it. Each build is a process of its own, started as `make compose` starts it.
"""

import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import tiny

from stevedore_build.images.bases import find_base
from stevedore_build.images.engines import PODMAN, Engine
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.processes import uv_program
from stevedore_build.store import Store

__all__ = ["BASE", "Room", "contents", "make_room_of", "make_tiny_room"]

BASE = "localhost/tiny-base:1"
AMD64_PROGRAM = b"\x7fELF" + bytes(14) + b"\x3e\x00" + bytes(40)
BASE_FILES = {"usr/bin/python3.11": AMD64_PROGRAM, "usr/lib/x86_64-linux-gnu/libc.so.6": b""}

MODULES = {f"numlib/part{number}.py": f"VALUE = {{'{number}', 'x', 'y'}}\n" for number in range(40)}

PROGRAM = """
import sys
from stevedore_build.cli.program import main
{patch}
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """Where builds of one repository happen.

    `wrapper` starts each program in it, the engine's too. `variables` join the environment.
    """

    root: Path
    composition: str
    wrapper: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    at: Path | None = None
    """Where programs start, the repository if nothing else is said."""

    @property
    def repository(self) -> Path:
        """The checkout that is built."""
        return self.root / "repository"

    @property
    def store(self) -> Path:
        """Where its generated things lie."""
        return self.repository / ".stevedore"

    @property
    def engine(self) -> Engine:
        """Podman, with the room's own storage."""
        return replace(
            PODMAN,
            command=(*self.wrapper, *PODMAN.command),
            variables=tuple(self.environment().items()),
        )

    def reference(self, composition: str = "") -> str:
        """Return what an image is called, that of the room's composition if no other is named."""
        return f"localhost/{composition or self.composition}:1.0.0"

    def environment(self) -> dict[str, str]:
        """Return what programs in the room find in their environment."""
        home = self.root / "home"
        return {
            **os.environ,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "TMPDIR": str(self.root / "tmp"),
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
            **dict(self.variables),
        }

    def furnish(self) -> None:
        """Make the directories and the engine's storage."""
        for name in ("home", "tmp", "storage"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "storage.conf").write_text(
            '[storage]\ndriver = "overlay"\n'
            f'graphroot = "{self.root}/storage/graph"\nrunroot = "{self.root}/storage/run"\n'
        )

    def start(
        self, *arguments: str, patch: str = "", umask: int = -1, composition: str = ""
    ) -> subprocess.Popen[str]:
        """Start a build in a process group of its own. `patch` is Python that runs before it."""
        directory = self.at or self.repository
        command = [*self.wrapper, sys.executable, "-c", PROGRAM.format(patch=patch)]
        command += arguments or ["image", composition or self.composition, "--engine", "podman"]
        return subprocess.Popen(
            command,
            cwd=directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            umask=umask,
        )

    def build(self, *, patch: str = "", umask: int = -1, composition: str = "") -> str:
        """Build to the end and return the image's id."""
        with self.start(patch=patch, umask=umask, composition=composition) as process:
            _, said = process.communicate()
        assert process.returncode == 0, said
        return self.image(composition) or ""

    def image(self, composition: str = "") -> str | None:
        """Return the id of the image, if there is one under its name."""
        return self.engine.find_image(self.reference(composition))

    def containers(self) -> list[str]:
        """Return all containers of the engine, those that builds work in too."""
        printed = self.engine.run("ps", "--all", "--external", "--format", "{{.ID}} {{.Names}}")
        return printed.splitlines()

    def clear(self) -> None:
        """Give the storage back: what it mounted would keep it from being deleted.

        `podman system reset` is not for this: it takes other storages' runtime along.
        """
        mounted = self.root / "storage" / "graph" / "overlay"
        subprocess.run(["umount", str(mounted)], capture_output=True, check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def lock(self, composition: str) -> None:
        """Lock a composition of the room."""
        with self.start("lock", composition) as process:
            _, said = process.communicate()
        assert process.returncode == 0, said

    def copy(self, root: Path, *, wrapper: tuple[str, ...] = ()) -> "Room":
        """Return a room with the same commit and the same base, and nothing generated."""
        links = [
            (name, value.replace(f"{self.root}/", f"{root}/")) for name, value in self.variables
        ]
        room = replace(self, root=root, wrapper=wrapper, variables=tuple(links))
        room.furnish()
        for name in ("index", "repository"):
            if (self.root / name).exists():
                shutil.copytree(
                    self.root / name, root / name, ignore=shutil.ignore_patterns(".stevedore")
                )
        shutil.copy(self.root / "base.tar", root)
        return room

    def with_variables(self, **variables: str) -> "Room":
        """Return the same room whose programs find more in their environment."""
        return replace(self, variables=(*self.variables, *variables.items()))

    def load_base(self) -> None:
        """Put the base into the engine's storage."""
        self.engine.run("load", "--quiet", "--input", str(self.root / "base.tar"))


def make_tiny_room(root: Path) -> Room:
    """Make a room with the smallest repository, locked, whose environments hold a few modules."""
    index = root / "index"
    tiny.write_wheel(index, "numlib", files={"numlib/__init__.py": "", **MODULES})
    variables = (
        ("UV_OFFLINE", "1"),
        ("UV_FIND_LINKS", str(index)),
        ("UV_CACHE_DIR", str(root / "uv-cache")),
    )
    room = Room(root=root, composition="pair", variables=variables)
    room.furnish()
    workspace = tiny.make_repository(room.repository)
    tiny.add_model(workspace.root, "iris", requires=["numlib"])
    tiny.add_model(workspace.root, "wine")
    manifest = workspace.root / "compositions/pair/composition.toml"
    text = f'{manifest.read_text()}\n[image]\nbase = "{BASE}"\n'
    manifest.write_text(text)
    other = text.replace('"pair"', '"other"').replace('digits = "1.0.0"', 'wine = "1.0.0"')
    tiny.write(workspace.root / "compositions/other/composition.toml", other)
    size = random.Random(0).randbytes(6_000_000).hex()
    tiny.write_wheel(index, "bulk", files={"bulk/__init__.py": "", "bulk/weights.txt": size})
    tiny.add_model(workspace.root, "heavy", requires=["bulk"])
    bulky = text.replace('"pair"', '"bulky"').replace('digits = "1.0.0"', 'heavy = "1.0.0"')
    tiny.write(workspace.root / "compositions/bulky/composition.toml", bulky)
    tiny.track(workspace.root)
    for composition in ("pair", "other", "bulky"):
        room.lock(composition)
    tiny.commit(workspace.root)
    _make_tiny_base(room)
    return room


def make_room_of(checkout: Path, root: Path, *, composition: str) -> Room:
    """Make a room with a copy of this very checkout, and the base that its machine has."""
    room = Room(root=root, composition=composition)
    cache = subprocess.run(
        [uv_program(), "cache", "dir"], capture_output=True, text=True, check=True
    )
    room = replace(room, variables=(("UV_CACHE_DIR", cache.stdout.strip()),))
    room.furnish()
    subprocess.run(["git", "clone", "--quiet", str(checkout), str(room.repository)], check=True)
    changed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, changed.split("\0")):
        (room.repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / name, room.repository / name)
    tiny.track(room.repository)
    base = find_base(
        PODMAN,
        reference=None,
        python="3.11",
        platform=LINUX_AMD64,
        store=Store(root=room.root / "base-store"),
    )
    PODMAN.run("save", "--quiet", "--output", str(root / "base.tar"), base.reference)
    return room


def _make_tiny_base(room: Room) -> None:
    """Make a base on which nothing can run: building needs no more."""
    context = room.root / "base"
    context.mkdir()
    with tarfile.open(context / "files.tar", "w") as archive:
        for file, content in BASE_FILES.items():
            entry = tarfile.TarInfo(file)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    (context / "Containerfile").write_text("FROM scratch\nADD files.tar /\n")
    room.engine.run("tag", room.engine.build(context), BASE)
    room.engine.run("save", "--quiet", "--output", str(room.root / "base.tar"), BASE)


def contents(place: Path) -> dict[str, str]:
    """Return the sha256 of a file, or of every file below a directory, links not followed."""
    return {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (place, *sorted(place.rglob("*")))
        if path.is_file() and not path.is_symlink()
    }

"""The container engines: how each is found, called and understood. Every quirk of one is here.

Called by `bases`, `building` and the command line. An engine is data; what it does differently
from the others is one of its fields.
"""

import json
import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stevedore_build.errors import EngineAbsent, EngineFailed
from stevedore_build.platforms import LINUX_AMD64, Platform

__all__ = [
    "COLIMA",
    "DOCKER",
    "ENGINES",
    "PODMAN",
    "Engine",
    "find_engine",
]

_PROBE_LIMIT_S = 10.0
_NOT_THERE = re.compile(r"(?:manifest|name|repository) unknown|repository does not exist")
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")

_NO_IDS = re.compile(rb"no sub[ug]id ranges found")
"""What podman warns of where a user may not have files of other users in a container."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """One container engine.

    `command` starts every call, `variables` join its environment. `answers` are the arguments of
    a call that succeeds only if the engine works. `local` is what a local image's name begins
    with. `read_only` makes a container's whole file system read-only. `plain_http` lets it speak to
    a registry without TLS. `loads_directories` says that it takes an image from a directory, with
    those layers left out that it has: then there is nothing to build. `writes_digest` says that the
    digest of a pushed image is written to a file; otherwise it is printed. `storage_shown` is how
    `info` is asked where images are kept.
    """

    name: str
    command: tuple[str, ...]
    answers: tuple[str, ...]
    build_flags: tuple[str, ...]
    read_only: tuple[str, ...]
    local: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    plain_http: tuple[str, ...] = ()
    loads_directories: bool = False
    writes_digest: bool = False
    storage_shown: str = "{{.DockerRootDir}}"

    def failure(self) -> str | None:
        """Return why this engine cannot be used here, or None if it can."""
        try:
            return self._complaint()
        except FileNotFoundError:
            return "not installed"
        except subprocess.TimeoutExpired:
            return f"installed, but did not answer within {_PROBE_LIMIT_S:.0f} s"

    def _complaint(self) -> str | None:
        """Say what keeps this engine from building: a failure, a missing right, missing flags."""
        done = self._start(*self.answers, timeout_s=_PROBE_LIMIT_S)
        if done.returncode != 0:
            return f"installed, but broken: {_last_line(done)}"
        if _NO_IDS.search(done.stderr):  # it answers all the same, and fails on the first layer
            return (
                "installed, but it may not use more than one user id; run `sudo usermod "
                "--add-subuids 100000-165535 --add-subgids 100000-165535 $USER` and `podman system "
                "migrate`"
            )
        known = self._start("build", "--help", timeout_s=_PROBE_LIMIT_S).stdout
        flags = ("--iidfile", *(flag for flag in self.build_flags if flag.startswith("--")))
        absent = [f"`{flag}`" for flag in flags if flag.encode() not in known]
        return f"installed, but too old: its `build` lacks {', '.join(absent)}" if absent else None

    def version(self) -> str:
        """Return what the engine says that it is. Raises `EngineFailed`."""
        return self.run("--version", timeout_s=_PROBE_LIMIT_S)

    def storage(self) -> Path:
        """Return where images are kept, as the engine sees it. Raises `EngineFailed`."""
        return Path(self.run("info", "--format", self.storage_shown, timeout_s=_PROBE_LIMIT_S))

    def run(self, *arguments: str, timeout_s: float | None = None) -> str:
        """Return what the engine prints for `arguments`. Raises `EngineFailed`."""
        try:
            done = self._start(*arguments, timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            said = f"no answer within {timeout_s:.0f} s"
        else:
            if done.returncode == 0:
                return done.stdout.decode().strip()
            said = _last_line(done)
        raise EngineFailed(f"`{' '.join([*self.command, *arguments])}` failed: {said}")

    def build(self, context: Path, *, platform: Platform = LINUX_AMD64) -> str:
        """Return the id of the image that `context` and its Containerfile make; it has no name.

        An engine that is interrupted leaves a working container behind, so it runs apart from
        the terminal's signals: after Ctrl-C it ends its work first, and no name was moved.
        """
        with tempfile.TemporaryDirectory() as answers:
            written = Path(answers) / "image-id"
            flags = [*self.build_flags, "--force-rm", "--iidfile", str(written)]
            if platform != LINUX_AMD64:
                flags += ["--platform", platform.name]
            self.run("build", *flags, "--file", str(context / "Containerfile"), str(context))
            return _identity(written.read_text())

    def load(self, image: Path) -> None:
        """Take an image from a directory. Raises `EngineFailed`, then there is no such image."""
        # `load` would try every format, and report what the last of them said.
        self.run("pull", "--quiet", f"dir:{image}")

    def find_image(self, reference: str) -> str | None:
        """Return the id of the image that is here under `reference`, or None."""
        done = self._start("image", "inspect", "--format", "{{.Id}}", reference)
        return _identity(done.stdout.decode()) if done.returncode == 0 else None

    def labels(self, image: str) -> dict[str, str]:
        """Return the labels of an image. Raises `EngineFailed`."""
        return dict(self._inspected(image, ".Config.Labels") or {})

    def layers(self, image: str) -> tuple[str, ...]:
        """Return the digests of an image's layers, the base's first. Raises `EngineFailed`."""
        return tuple(self._inspected(image, ".RootFS.Layers"))

    def configuration(self, image: str) -> dict[str, Any]:
        """Return what an image says about how a container starts. Raises `EngineFailed`."""
        return dict(self._inspected(image, ".Config"))

    def size_bytes(self, image: str) -> int:
        """Return how large an image is, unpacked. Raises `EngineFailed`."""
        return int(self._inspected(image, ".Size"))

    def push(self, image: str, reference: str, *, plain_http: bool) -> str:
        """Push an image to where `reference` says; return the digest by which it is known there.

        It has that name here only meanwhile. Raises `EngineFailed`.
        """
        flags = self.plain_http if plain_http else ()
        self.run("tag", image, reference)
        try:
            if not self.writes_digest:
                return _pushed_digest(self.run("push", *flags, reference))
            with tempfile.TemporaryDirectory() as answers:
                written = Path(answers) / "digest"
                self.run("push", *flags, "--digestfile", str(written), reference)
                return written.read_text().strip()
        finally:
            self.run("rmi", reference)

    def pull(self, reference: str, *, plain_http: bool) -> str | None:
        """Fetch an image and return its id; `None` if its registry has none of that name.

        Raises `EngineFailed` if that cannot be told.
        """
        flags = self.plain_http if plain_http else ()
        try:
            self.run("pull", *flags, reference)
        except EngineFailed as failed:
            if _NOT_THERE.search(str(failed)):
                return None
            raise
        return self.find_image(reference)

    def logs(self, container: str) -> str:
        """Return the last lines that a container wrote, to whichever stream."""
        done = self._start("logs", "--tail", "20", container)
        return (done.stdout + done.stderr).decode(errors="replace")

    def discard(self, container: str) -> None:
        """Remove a container, running or not; one that is not there is no failure."""
        self._start("rm", "--force", container)

    def export(self, image: str, tar: Path) -> None:
        """Write the image's files into `tar`. Nothing of the image runs, nothing is left behind."""
        container = f"stevedore-export-{uuid.uuid4()}"
        try:
            # `/nothing` is never executed: it stands in for the command that an image may lack.
            self.run("create", "--name", container, image, "/nothing")
            self.run("export", "--output", str(tar), container)
        finally:
            self.discard(container)

    def _inspected(self, image: str, what: str) -> Any:
        return json.loads(self.run("image", "inspect", "--format", f"{{{{json {what}}}}}", image))

    def _start(
        self, *arguments: str, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        # Files and not pipes: where we are killed, writing to a pipe would end the engine halfway.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(  # noqa: S603 - the engine, with arguments of our making
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **dict(self.variables)},
                start_new_session=True,
            )
            with process:
                try:
                    process.wait(timeout=timeout_s)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise
                except BaseException:
                    process.wait()
                    raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(
                process.args, process.returncode, out.read(), err.read()
            )


PODMAN = Engine(
    name="podman",
    command=("podman",),
    answers=("info", "--format", "{{.Host.Arch}}"),
    # A fixed time gives a fixed image id. Only docker's format keeps a HEALTHCHECK.
    build_flags=("--timestamp", "0", "--format", "docker"),
    # Without the second flag podman mounts writable directories at /tmp, /run and /var/tmp.
    read_only=("--read-only", "--read-only-tmpfs=false"),
    local="localhost/",
    plain_http=("--tls-verify=false",),
    writes_digest=True,
    storage_shown="{{.Store.GraphRoot}}",
    # What it builds is never the same twice: it names the containers it was built in (4.3.1).
    loads_directories=True,
)

DOCKER = Engine(
    name="docker",
    command=("docker",),
    answers=("version", "--format", "{{.Server.Version}}"),
    build_flags=(),
    read_only=("--read-only",),
    # The classic builder is everywhere, and unpacks a tar into the same layer each time.
    variables=(("DOCKER_BUILDKIT", "0"),),
)

# Colima installs docker's client and a context of its own beside the default one.
COLIMA = replace(DOCKER, name="colima", command=("docker", "--context", "colima"))

ENGINES = (PODMAN, DOCKER, COLIMA)


def find_engine(
    wanted: str = "", *, failure: Callable[[Engine], str | None] = Engine.failure
) -> Engine | None:
    """Return the engine called `wanted`, or the first that works. None only for `none`.

    Raises `EngineAbsent` if it does not work, or if none does.
    """
    if wanted == "none":
        return None
    names = ", ".join(f"`{engine.name}`" for engine in ENGINES)
    candidates = [engine for engine in ENGINES if wanted in ("", engine.name)]
    if not candidates:
        raise EngineAbsent(f"`ENGINE`: expected {names} or `none`, found {wanted!r}")
    tried = []
    for engine in candidates:
        reason = failure(engine)
        if reason is None:
            return engine
        tried.append(f"`{engine.name}` ({reason})")
    raise EngineAbsent(
        f"no container engine works here: tried {', '.join(tried)}; install podman (on Debian "
        "`apt-get install podman`), start docker, or set `ENGINE=none` to write the build "
        "context only"
    )


def _identity(printed: str) -> str:
    """Return an image id in the one form that every engine takes: podman omits the prefix."""
    return "sha256:" + printed.strip().removeprefix("sha256:")


def _pushed_digest(printed: str) -> str:
    found = _DIGEST.search(printed)
    if found is None:
        raise EngineFailed(f"the engine pushed and did not say the digest; it said:\n{printed}")
    return found[1]


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines()]
    said = [line for line in lines if line and not line.startswith("DEPRECATED:")]
    return said[-1] if said else f"exit code {done.returncode}, and no word why"

"""One server, started on its core, asked until it answers, and stopped with all its processes."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError, ServerFailed
from benchmarks.load import Exchange, send_load

__all__ = ["HOST", "Command", "Running", "free_port", "started"]

HOST = "127.0.0.1"
_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 15.0
_POLL_S = 0.1
_LOG_SHOWN_CHARS = 3_000
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_PSS = "Pss:"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What starts a server that listens on a given port."""

    arguments: Sequence[str]
    environ: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A server that answered."""

    address: tuple[str, int]

    def cpu_s(self) -> float:
        """Return the seconds of CPU that its living processes have used."""
        ticks = 0
        for pid in _processes():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS_PER_S

    def memory_bytes(self) -> int:
        """Return what its processes hold: a page that n of them share counts 1/n for each."""
        total = 0
        for pid in _processes():
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith(_PAGE_PSS):
                        total += int(line.split()[1]) * 1024
        return total


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    command: Command, *, port: int, cores: Sequence[int], probe: Exchange, log: Path
) -> Iterator[Running]:
    """Start a server on these cores, wait until it answers `probe` rightly, stop it at the end.

    Raises:
        ServerFailed: It ended or never gave the right answer; the end of its log is in the message.
    """
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores)), *command.arguments]
    _adopt_orphans()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # ours
            pinned,
            env={**command.environ, **_ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(address=(HOST, port))
    try:
        _wait(process, running, probe, log)
        yield running
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], running: Running, probe: Exchange, log: Path) -> None:
    begun = time.monotonic()
    reason = "no answer"
    while process.poll() is None and time.monotonic() - begun < _START_LIMIT_S:
        try:
            send_load(running.address, [probe], connections=1, seconds=_POLL_S)
        except (OSError, BenchmarkError) as error:
            reason = str(error)
            time.sleep(_POLL_S)
        else:
            return
    said = log.read_text(encoding="utf-8", errors="replace")[-_LOG_SHOWN_CHARS:]
    raise ServerFailed(f"did not start: {reason}\nit said:\n{said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_LIMIT_S)
    while left := _processes():
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _adopt_orphans() -> None:
    """Become the parent of every process below whose own parent ends, so that none is lost."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _processes() -> Sequence[int]:
    """Return all processes below this one: those of the one server that runs."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(place.name))
    found = []
    wanted = [os.getpid()]
    while wanted:
        below = children.get(wanted.pop(), [])
        found += below
        wanted += below
    return found

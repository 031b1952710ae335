"""What a process shares with all that runs in it, and what is done to that meanwhile.

The conformance suite and `witness` ask. A model that keeps to itself leaves all of it as it was.
"""

import builtins
import decimal
import gc
import io
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = ["Deeds", "differences", "state", "watched"]

_MAX_SHOWN_CHARS: Final = 80
_DESCRIPTORS: Final = Path("/proc/self/fd")
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CONNECTING: Final = frozenset(
    {"socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto"}
)
_STARTING: Final = frozenset(
    {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"}
)
_CHANGING: Final = frozenset(
    {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
)


@dataclass(eq=False, slots=True)
class Deeds:
    """What was done in a while, in sentences by kind, and what was left changed."""

    written: list[str] = field(default_factory=list)
    """Texts on standard output and error, and files."""
    started: list[str] = field(default_factory=list)
    """Processes, threads, connections and files that are left open."""
    changed: list[str] = field(default_factory=list)
    """All else that is not what it was."""

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what Python says that it is about to do."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and _is_a_file(path):
                self.written.append(f"it opens {_shown(path)} to write")
        elif event in _CHANGING:
            self.written.append(f"it changes files: `{event}` of {_shown(arguments[0])}")
        elif event in _CONNECTING:
            self.started.append(f"it makes a connection: `{event}`")
        elif event in _STARTING:
            self.started.append(f"it starts a process: `{event}`")


_ears: list[Deeds] = []


@cache
def _listen() -> None:
    """Have Python tell what it does; that cannot be undone, only be ignored."""
    sys.addaudithook(_pass_on)


def _pass_on(event: str, arguments: tuple[Any, ...]) -> None:
    for deeds in _ears:
        deeds.hear(event, arguments)


@contextmanager
def watched() -> Iterator[Deeds]:
    """Watch what is done within; it is told at the end."""
    _listen()
    deeds = Deeds()
    out, error = io.StringIO(), io.StringIO()
    with _descriptors_to_files() as said, redirect_stdout(out), redirect_stderr(error):
        before, left_open = state(), _left_open()
        _ears.append(deeds)
        try:
            yield deeds
        finally:
            _ears.remove(deeds)
            deeds.changed += differences(before, state())
            deeds.started += [
                f"it leaves {what} behind"
                for which, what in _left_open().items()
                if which not in left_open
            ]
    for name, stream, descriptor in (("output", out, 1), ("error", error, 2)):
        if text := stream.getvalue() + said[descriptor]:
            deeds.written.append(f"it writes to standard {name}: {_shown(text)}")


@contextmanager
def _descriptors_to_files() -> Iterator[Mapping[int, str]]:
    """Have what is written below Python into the two descriptors, too."""
    said: dict[int, str] = {}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        files, kept = {1: out, 2: error}, {number: os.dup(number) for number in (1, 2)}
        for number, file in files.items():
            os.dup2(file.fileno(), number)
        try:
            yield said
        finally:
            for number, file in files.items():
                os.dup2(kept[number], number)
                os.close(kept[number])
                file.seek(0)
                said[number] = file.read().decode(errors="replace")


def state() -> dict[str, object]:
    """Return what a process shares, by what to call it."""
    root = logging.getLogger()
    numpy = sys.modules.get("numpy")
    context = decimal.getcontext()
    return {
        "the working directory": str(Path.cwd()),
        "the environment": dict(os.environ),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the time zone": time.tzname,
        "the context of decimals": (
            context.prec, context.rounding, context.Emin, context.Emax, context.clamp,
            {str(name): is_set for name, is_set in context.traps.items()},
        ),
        "the filters of warnings": [str(entry) for entry in warnings.filters],
        "the root logger": (root.level, [id(h) for h in root.handlers], root.manager.disable),
        "the numbers that `random` draws": hash(random.getstate()),
        "the numbers that `numpy.random` draws": numpy and str(numpy.random.get_state()),
        "how numpy tells of errors": numpy and numpy.geterr(),
        "the import path": list(sys.path),
        "the handlers of signals": {s.name: str(signal.getsignal(s)) for s in signal.Signals},
        "the builtins": {key: id(value) for key, value in vars(builtins).items() if key != "_"},
        "the limit of recursion": sys.getrecursionlimit(),
        "the garbage collector": (gc.isenabled(), gc.get_threshold()),
        "the standard streams": (id(sys.stdin), id(sys.stdout), id(sys.stderr)),
        "the hooks": (id(sys.excepthook), id(threading.excepthook), sys.gettrace()),
    }  # fmt: skip


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Say in what two states differ; of tables only the keys are told."""
    told = []
    for name, old in before.items():
        new = after[name]
        if old == new or (
            old is None and name.startswith(("how numpy", "the numbers that `numpy"))
        ):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            keys = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
            told.append(f"it changes {name}: {', '.join(f'`{key}`' for key in keys)}")
        elif name.startswith("the numbers"):
            told.append(f"it changes {name}, which all share")
        else:
            told.append(f"it changes {name}: expected {_shown(old)}, found {_shown(new)}")
    return told


def _left_open() -> dict[object, str]:
    """Return the threads that run and the files that are open, by what tells them apart."""
    found: dict[object, str] = {id(t): f"the thread `{t.name}`" for t in threading.enumerate()}
    for entry in _DESCRIPTORS.iterdir() if _DESCRIPTORS.is_dir() else ():
        try:
            target = str(entry.readlink())
        except OSError:  # it was the one that the directory was read by
            continue
        if not target.startswith(("/dev/", "/proc/")):
            found[entry.name, target] = f"the open file `{Path(target).name}`"
    return found


def _is_a_file(path: object) -> bool:
    text = os.fsdecode(path) if isinstance(path, str | bytes) else ""
    return bool(text) and not text.startswith("/dev/") and "__pycache__" not in text


def _shown(value: object) -> str:
    text = os.fsdecode(value) if isinstance(value, str | bytes) else repr(value)
    text = " ".join(text.split())
    return f"`{text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 1] + '…'}`"

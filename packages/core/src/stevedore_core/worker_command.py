"""`WorkerCommand`: what starts a worker, wherever it is asked from.

The front starts workers to serve, build to ask a locked model. A worker and its children are a
process group of their own, so that killing it leaves nothing behind.
"""

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["WorkerCommand"]

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_REPORT_NOTHING = {"DO_NOT_TRACK": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""What keeps libraries from telling their makers that they are used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerCommand:
    """An interpreter, a worker's import path and models, and how many threads it may use."""

    python: Path
    import_path: Sequence[Path]
    models: Sequence[str]
    threads: int

    def start(
        self,
        connection: socket.socket,
        outer: Mapping[str, str],
        *,
        output: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a worker that speaks over `connection`, which the caller closes after that.

        Args:
            connection: The worker's end of a socket pair.
            outer: The variables of this process, a few of which are passed on.
            output: Where all that it writes goes, if not where this process writes.

        Raises:
            OSError: The operating system has no process or file descriptor left.
        """
        descriptor = connection.fileno()
        return subprocess.Popen(  # noqa: S603  # a list, never a shell
            # -S: no site-packages; the import path is what the command says.
            [
                *(str(self.python), "-S", "-m", "stevedore_core.worker"),
                *(str(descriptor), *self.models),
            ],
            env=self.environ(outer),
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )

    def environ(self, outer: Mapping[str, str]) -> dict[str, str]:
        """Return the worker's variables: a few of the `outer` ones, and its own."""
        passed_on = {name: outer[name] for name in _PASSED_ON if name in outer}
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        return {
            **passed_on,
            **threads,
            **_REPORT_NOTHING,
            "PYTHONPATH": os.pathsep.join(map(str, self.import_path)),
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
        }

"""What a newcomer does: clones this repository, runs commands, waits for a server and asks it.

Tests of the README, of the ways in and of scaffolds share it.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from socket import socket
from typing import Final

__all__ = ["ROOT", "STEVEDORE", "ask", "await_ready", "clone_to", "free_port", "run", "served"]

ROOT: Final = Path(__file__).parents[2]
STEVEDORE: Final = (sys.executable, "-m", "stevedore_build")
"""`ml-stevedore`, where `make tools` was not run."""
READY_LIMIT_S: Final = 300
STOP_LIMIT_S: Final = 60
SAID_CHARACTERS: Final = 3_000
AUTHOR: Final = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "tests"), ("EMAIL", "tests@tests.invalid"))
}


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Return what a command prints that has to succeed; nobody answers what it asks."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=_environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{done.stdout[-SAID_CHARACTERS:]}\n{done.stderr[-SAID_CHARACTERS:]}"
    assert done.returncode == 0, f"{' '.join(command)}:\n{said}"
    return done.stdout


def clone_to(directory: Path) -> Path:
    """Clone this repository, as it is committed, to a directory that is not there yet."""
    run("git", "clone", "--quiet", str(ROOT), str(directory), cwd=ROOT)
    return directory


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        return port


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, object]:
    """Return the status and the JSON of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def await_ready(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until all models are ready, as long as the process that serves them lives."""
    give_up = time.monotonic() + READY_LIMIT_S
    while not _is_ready(port):
        assert process is None or process.poll() is None, "the server ended"
        assert time.monotonic() < give_up, f"not ready within {READY_LIMIT_S} s"
        time.sleep(0.1)


@contextmanager
def served(*command: str, cwd: Path, port: int) -> Iterator[None]:
    """Have a command serve on a port, from when it is ready until it is told to stop in the end."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment({}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            await_ready(port, process)
            yield
        except BaseException as error:
            log.seek(0)
            error.add_note(log.read().decode()[-SAID_CHARACTERS:])
            raise
        finally:
            with suppress(ProcessLookupError):  # what it started may live when it has ended
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_LIMIT_S)


def _is_ready(port: int) -> bool:
    try:
        return ask(port, "GET", "/readyz")[0] == HTTPStatus.OK
    except OSError:
        return False


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Return what a newcomer's shell has: commits have an author, and no environment is active."""
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return {**inherited, **AUTHOR, **variables}

"""What starts a worker."""

import socket
import sys
import tempfile
from pathlib import Path

from stevedore_core.worker_command import WorkerCommand

COMMAND = WorkerCommand(
    python=Path(sys.executable),
    import_path=(Path("/a"), Path("/b")),
    models=("one", "two"),
    threads=3,
)


def test_environ() -> None:
    """A worker gets a few of the variables around it and its own; no other reaches it."""
    passed_on = dict.fromkeys(("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME"), "x")
    secret = {"STEVEDORE_PORT": "1", "AWS_SECRET_ACCESS_KEY": "1", "LD_PRELOAD": "1"}
    assert COMMAND.environ({**passed_on, **secret, "PYTHONPATH": "/evil"}) == {
        **passed_on,
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "VECLIB_MAXIMUM_THREADS": "3",
        "NUMEXPR_NUM_THREADS": "3",
        "DO_NOT_TRACK": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": "/a:/b",
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }
    assert "PATH" not in COMMAND.environ({})


def test_a_worker_is_started_with_its_end_of_the_socket(tmp_path: Path) -> None:
    """It gets the descriptor, its models and its path only, and is a process group of its own."""
    package = tmp_path / "stevedore_core"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "worker.py").write_text(
        "import os, socket, sys\n"
        "print('started', flush=True)\n"
        "said = ' '.join([*sys.argv[2:], str(os.getpgid(0) == os.getpid()), str(len(sys.path))])\n"
        "socket.socket(fileno=int(sys.argv[1])).sendall(said.encode())\n"
    )
    command = WorkerCommand(
        python=Path(sys.executable), import_path=(tmp_path,), models=("one", "two"), threads=1
    )
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as output:
        with theirs:
            process = command.start(theirs, {}, output=output)
        said = ours.recv(100).decode()
        assert process.wait(10) == 0
        output.seek(0)
        assert output.read() == b"started\n"
    # The command's path, and three of the standard library.
    assert said == "one two True 4"

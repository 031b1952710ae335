"""What goes wrong while a newcomer is imitated is told."""

import sys
import time
from pathlib import Path
from socket import socket

import pytest
from newcomer import STOP_LIMIT_S, ask, free_port, run, served

SERVE = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'"READY"')

HTTPServer(("127.0.0.1", int(sys.argv[1])), Answering).serve_forever()
"""


def python(code: str) -> tuple[str, ...]:
    """Return the command that runs some Python."""
    return sys.executable, "-c", code


def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    """Output and errors both stand in the message, below the command."""
    with pytest.raises(AssertionError) as failed:
        run(*python("print('what'); raise SystemExit('why')"), cwd=tmp_path)
    assert str(failed.value).startswith(f"{sys.executable} -c print('what')")
    assert str(failed.value).splitlines()[1:] == ["what", "", "why"]


def test_no_environment_is_active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer has none, whatever runs the tests; variables that are given arrive."""
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    code = "import os; print(os.environ.get('VIRTUAL_ENV'), os.environ['GIVEN'])"
    assert run(*python(code), cwd=tmp_path, GIVEN="so") == "None so\n"


def test_what_serves_is_there_until_the_end(tmp_path: Path) -> None:
    """It answers within, and nobody listens after."""
    port = free_port()
    with served(*python(SERVE), str(port), cwd=tmp_path, port=port):
        assert ask(port, "GET", "/readyz") == (200, "READY")
    with pytest.raises(ConnectionRefusedError):
        ask(port, "GET", "/readyz")


def test_what_serves_does_not_outlive_what_started_it(tmp_path: Path) -> None:
    """A command, such as `make`, may end before the server that it started."""
    port, end = free_port(), tmp_path / "end"
    script = '"$@" & until [ -e end ]; do sleep 0.05; done; rm end'
    with served("sh", "-c", script, "sh", *python(SERVE), str(port), cwd=tmp_path, port=port):
        end.touch()
        while end.exists():
            time.sleep(0.05)
        time.sleep(0.2)  # the shell ends
    give_up = time.monotonic() + STOP_LIMIT_S
    while listens(port):
        assert time.monotonic() < give_up


def listens(port: int) -> bool:
    """Tell whether anybody takes connections on a port."""
    with socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_what_goes_wrong_meanwhile_is_told_with_what_the_server_said(tmp_path: Path) -> None:
    """Whatever it is: an answer that is none raises other errors than a test's own."""
    port = free_port()
    command = ("sh", "-c", 'echo so; exec "$@"', "sh", *python(SERVE), str(port))
    with (
        pytest.raises(ValueError, match="what") as failed,
        served(*command, cwd=tmp_path, port=port),
    ):
        int("what")
    assert failed.value.__notes__[0].startswith("so\n")


def test_what_does_not_serve_is_told_with_what_it_said(tmp_path: Path) -> None:
    """A server that ends is not waited for, and its last words are kept."""
    port = free_port()
    with (
        pytest.raises(AssertionError, match="the server ended") as failed,
        served(*python("raise SystemExit('no port')"), cwd=tmp_path, port=port),
    ):
        pass
    assert failed.value.__notes__ == ["no port\n"]

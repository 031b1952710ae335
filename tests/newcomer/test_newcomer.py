"""What goes wrong while a newcomer is imitated is told."""

import sys
from pathlib import Path

import pytest
from newcomer import ask, free_port, run, served

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


def test_what_does_not_serve_is_told_with_what_it_said(tmp_path: Path) -> None:
    """A server that ends is not waited for, and its last words are kept."""
    port = free_port()
    with (
        pytest.raises(AssertionError, match="the server ended") as failed,
        served(*python("raise SystemExit('no port')"), cwd=tmp_path, port=port),
    ):
        pass
    assert failed.value.__notes__ == ["no port\n"]

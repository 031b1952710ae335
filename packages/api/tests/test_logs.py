"""Lines of the log."""

import json
import logging
from collections.abc import Iterator

import pytest

from stevedore_api.logs import configure_logging, log_request


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Whatever a test makes of logging is undone."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return what was logged."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    """The line of a request says who asked for what, what came out, and how long it took."""
    configure_logging()
    log_request(
        request_id="r", method="POST", path="/x", status=200, duration_s=0.0123456, model="iris"
    )
    (line,) = lines(capsys)
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "stevedore_api.access",
        "message": "request",
        "request_id": "r",
        "method": "POST",
        "path": "/x",
        "status": 200,
        "duration_ms": 12.346,
        "model": "iris",
    }


def test_a_request_to_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    """A long path is cut, and without a model none is named."""
    configure_logging()
    path = "/" + "x" * 500
    log_request(request_id="r", method="GET", path=path, status=404, duration_s=0, model=None)
    (line,) = lines(capsys)
    assert line["path"] == path[:200]
    assert "model" not in line


def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that is logged can end a line or colour a terminal."""
    configure_logging()
    logging.getLogger("any").info("%s", 'a\nb\r\x1b[31m\x00"')
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert "\x00" not in out
    assert json.loads(out)["message"] == 'a\nb\r\x1b[31m\x00"'


def test_an_exception_stands_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is a field, not more lines."""
    configure_logging()
    try:
        int("why")
    except ValueError:
        logging.getLogger("any").exception("failed")
    (line,) = lines(capsys)
    assert (line["level"], line["message"]) == ("error", "failed")
    assert str(line["exception"]).endswith("with base 10: 'why'")

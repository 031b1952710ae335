"""Lines of the log."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from stevedore_api.access_log import log_request
from stevedore_core.logs import configure_logging


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
    configure_logging(sys.stdout)
    log_request(
        request_id="r", method="POST", path="/x", status=200, duration_s=0.0123456, model="iris"
    )
    (line,) = lines(capsys)
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "stevedore_api.access_log",
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
    configure_logging(sys.stdout)
    path = "/" + "x" * 500
    log_request(request_id="r", method="GET", path=path, status=404, duration_s=0, model=None)
    (line,) = lines(capsys)
    assert line["path"] == path[:200]
    assert "model" not in line

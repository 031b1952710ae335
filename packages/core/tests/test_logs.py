"""Lines of the log."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

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


def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that is logged can end a line or colour a terminal."""
    configure_logging(sys.stdout)
    logging.getLogger("any").info("%s", 'a\nb\r\x1b[31m\x00"')
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert "\x00" not in out
    assert json.loads(out)["message"] == 'a\nb\r\x1b[31m\x00"'


def test_an_exception_stands_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is a field, not more lines."""
    configure_logging(sys.stdout)
    try:
        int("why")
    except ValueError:
        logging.getLogger("any").exception("failed")
    (line,) = lines(capsys)
    assert (line["level"], line["message"]) == ("error", "failed")
    assert str(line["exception"]).endswith("with base 10: 'why'")


def test_lone_surrogates_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Text that is no text, such as a model's exception may carry, does not cost the line."""
    configure_logging(sys.stdout)
    logging.getLogger("any").info("\ud800")
    (line,) = lines(capsys)
    assert line["message"] == "\ud800"

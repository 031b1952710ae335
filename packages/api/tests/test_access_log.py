"""The line of a request."""

import json

from stevedore_api.access_log import AccessLog


def line_of(**changed: object) -> tuple[bytes, dict[str, object]]:
    """Return the line of a request as bytes and as what it says."""
    lines: list[bytes] = []
    fields = {
        "request_id": "r",
        "method": "POST",
        "path": "/x",
        "status": 200,
        "duration_s": 0.0123456,
        "model": "iris",
    }
    AccessLog(lines.append).note(**{**fields, **changed})  # type: ignore[arg-type]  # they fit
    (line,) = lines
    return line, json.loads(line)


def test_a_request() -> None:
    """The line of a request says who asked for what, what came out, and how long it took."""
    line, said = line_of()
    assert line.endswith(b"}\n")
    assert str(said.pop("time")).endswith("+00:00")
    assert said == {
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


def test_a_request_to_no_model() -> None:
    """A long path is cut, and without a model none is named."""
    _, said = line_of(path="/" + "x" * 500, model=None)
    assert said["path"] == "/" + "x" * 199
    assert "model" not in said


def test_no_character_ends_a_line() -> None:
    """Neither a control character nor one beyond ASCII at which some readers break lines."""
    path = "/a\n\r\x85\u2028é"
    line, said = line_of(path=path)
    assert len(line.decode().splitlines()) == 1
    assert said["path"] == path

"""`AccessLog`: one line per request, never a payload, for whoever answers or refuses it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

__all__ = ["AccessLog"]

_MAX_PATH_CHARS = 200


class AccessLog:
    """Writes the line of each request; the form is that of every other line of the log."""

    def __init__(self, write_line: Callable[[bytes], None]) -> None:
        self._write_line = write_line

    def note(  # noqa: PLR0913  # one field each
        self,
        *,
        request_id: str,
        method: str,
        path: str,
        status: int,
        duration_s: float,
        model: str | None,
        trace_id: str | None = None,
    ) -> None:
        """Write the line of one request."""
        fields = {
            "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
            "level": "info",
            "logger": __name__,
            "message": "request",
            "request_id": request_id,
            "method": method,
            "path": path[:_MAX_PATH_CHARS],
            "status": status,
            "duration_ms": round(duration_s * 1000, 3),
        }
        if model is not None:
            fields["model"] = model
        if trace_id is not None:
            fields["trace_id"] = trace_id
        line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
        if not line.isascii():  # there are characters beyond ASCII that end a line
            line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        self._write_line(line)

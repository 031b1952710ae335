"""Logs: one JSON object per line on standard output, one line per request, never a payload."""

import logging
import sys
from datetime import UTC, datetime

import orjson

__all__ = ["configure_logging", "log_request"]

_access = logging.getLogger("stevedore_api.access")
_MAX_PATH_CHARS = 200


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if isinstance(fields := getattr(record, "fields", None), dict):
            line |= fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure_logging() -> None:
    """Send every log record of this process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.raiseExceptions = False  # a full disk must not stop the service


def log_request(  # noqa: PLR0913  # one field each
    *,
    request_id: str,
    method: str,
    path: str,
    status: int,
    duration_s: float,
    model: str | None,
) -> None:
    """Write the line of one request."""
    fields = {
        "request_id": request_id,
        "method": method,
        "path": path[:_MAX_PATH_CHARS],
        "status": status,
        "duration_ms": round(duration_s * 1000, 3),
    }
    if model is not None:
        fields["model"] = model
    _access.info("request", extra={"fields": fields})

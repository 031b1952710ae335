"""Logs: one JSON object per line. Front and workers write alike, into the same stream."""

import json
import logging
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["LogStream", "configure_logging", "unsilence_logging"]


class LogStream(Protocol):
    """What a log is written to: any text stream, or what acts like one."""

    def write(self, text: str, /) -> object:
        """Take text."""

    def flush(self) -> object:
        """Hand on what was taken."""


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
        # Pure ASCII: no character can end a line.
        return json.dumps(line, default=str, separators=(",", ":"))


def configure_logging(stream: LogStream) -> None:
    """Send every log record of this process to `stream` as JSON.

    A record's `fields`, given as `extra={"fields": {…}}`, stand beside time, level and message.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.raiseExceptions = False  # a full disk must not stop the service


def unsilence_logging() -> None:
    """Log on where a model called `logging.disable`, which holds for the whole process."""
    if logging.root.manager.disable:
        logging.disable(logging.NOTSET)

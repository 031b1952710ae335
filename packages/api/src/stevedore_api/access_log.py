"""The access log: one line per request, never a payload. `app` writes it."""

import logging

__all__ = ["log_request"]

_log = logging.getLogger(__name__)
_MAX_PATH_CHARS = 200


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
    _log.info("request", extra={"fields": fields})

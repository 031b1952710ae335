"""The one table from errors to HTTP status codes, and the problem (RFC 9457) that a caller sees.

A problem has a stable type, a sentence and, for an invalid payload, JSON Pointers. It never shows a
traceback, a path of this machine or what was sent; the log has the rest under the same request id.
"""

from collections.abc import Mapping, Sequence

import orjson

from stevedore_core import errors
from stevedore_core.errors import StevedoreError
from stevedore_core.strict_json import Json

__all__ = [
    "INTERNAL",
    "MAX_PROBLEM_BYTES",
    "MEDIA_TYPE",
    "STATUS",
    "TITLES",
    "method_refused",
    "path_unknown",
    "problem",
    "problem_of",
    "status_of",
]

MEDIA_TYPE = "application/problem+json"

MAX_PROBLEM_BYTES = 2_048
"""The longest body of a problem; of more violations than fit in it, the first are shown."""
_MAX_POINTER_BYTES = 256
_MAX_DETAIL_CHARS = 300

_TABLE: Sequence[tuple[type[StevedoreError], int, str]] = (
    (errors.BodyNotJson, 400, "The body is not strict JSON"),
    (errors.EnvelopeInvalid, 422, "The body is not an envelope"),
    (errors.PayloadInvalid, 422, "The payload does not fit the schema"),
    (errors.ModelUnknown, 404, "No such model"),
    (errors.ParameterMissing, 422, "A parameter is missing"),
    (errors.ContentTypeRefused, 415, "The body must be JSON"),
    (errors.BodyTooLarge, 413, "The body is too large"),
    (errors.BodyTooSlow, 408, "The body arrived too slowly"),
    (errors.HostRefused, 403, "The host is not served here"),
    (errors.ModelNotReady, 503, "Not ready"),
    (errors.ScorePending, 503, "Not scored yet"),
    (errors.QueueFull, 429, "Too much waits already"),
    (errors.DeadlinePassed, 504, "No answer in time"),
    (errors.WorkerDied, 502, "The worker died"),
    (errors.PredictorFailed, 500, "The model failed"),
    (errors.OutputNotJson, 500, "The model's output is not JSON"),
)

INTERNAL = "internal-error"
"""The code of whatever is our own fault."""
_PATH_UNKNOWN = "path-unknown"
_METHOD_REFUSED = "method-refused"

STATUS: Mapping[str, int] = {
    **{error.code: status for error, status, _ in _TABLE},
    _PATH_UNKNOWN: 404,
    _METHOD_REFUSED: 405,
    INTERNAL: 500,
}
TITLES: Mapping[str, str] = {
    **{error.code: title for error, _, title in _TABLE},
    _PATH_UNKNOWN: "Nothing is served at this path",
    _METHOD_REFUSED: "The path does not take this method",
    INTERNAL: "Something went wrong here",
}


def status_of(code: str) -> int:
    """Return the status for an error's code; an unknown one is our own fault."""
    return STATUS.get(code, 500)


def problem(
    code: str,
    detail: str,
    *,
    request_id: str,
    violations: Sequence[Mapping[str, Json]] | None = None,
) -> bytes:
    """Return the body of a problem: at most `MAX_PROBLEM_BYTES`, whatever keys a payload had."""
    body: dict[str, object] = {
        "type": f"urn:ml-py-stevedore:problem:{code}",
        "title": TITLES.get(code, TITLES[INTERNAL]),
        "status": status_of(code),
        "detail": detail[:_MAX_DETAIL_CHARS],
        "request_id": request_id,
    }
    if violations is None:
        return orjson.dumps(body)
    listed = [
        {"pointer": _enclosing(str(violation["pointer"])), "message": violation["message"]}
        for violation in violations
    ]
    while len(text := orjson.dumps({**body, "violations": listed})) > MAX_PROBLEM_BYTES:
        listed.pop()
    return text


def _enclosing(pointer: str) -> str:
    """Return the pointer to the nearest enclosing place whose pointer is not too long to show."""
    while len(orjson.dumps(pointer)) > _MAX_POINTER_BYTES:
        pointer = pointer[:_MAX_POINTER_BYTES].rpartition("/")[0]
    return pointer


def path_unknown(*, request_id: str) -> tuple[int, bytes]:
    """Return status and body for a path at which there is nothing."""
    detail = "there is nothing at this path; `/docs` shows what there is"
    return status_of(_PATH_UNKNOWN), problem(_PATH_UNKNOWN, detail, request_id=request_id)


def method_refused(*, request_id: str) -> tuple[int, bytes]:
    """Return status and body for a path that takes other methods."""
    detail = "this path does not take this method; `/docs` shows which it takes"
    return status_of(_METHOD_REFUSED), problem(_METHOD_REFUSED, detail, request_id=request_id)


def problem_of(error: BaseException, *, request_id: str) -> tuple[int, bytes]:
    """Return status and body for whatever was raised; what is not ours is told in fixed words."""
    if not isinstance(error, StevedoreError):
        detail = "the request could not be answered; the log has the reason"
        return status_of(INTERNAL), problem(INTERNAL, detail, request_id=request_id)
    return status_of(error.code), problem(error.code, str(error), request_id=request_id)

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
    "METHOD_REFUSED",
    "PATH_UNKNOWN",
    "STATUS",
    "TITLES",
    "problem",
    "problem_of",
]

MEDIA_TYPE = "application/problem+json"

MAX_PROBLEM_BYTES = 2_048
"""The longest body of a problem; of more violations than fit in it, the first are shown."""
_MAX_POINTER_BYTES = 256
_MAX_DETAIL_CHARS = 300

INTERNAL = "internal-error"
"""The code of whatever is our own fault."""
PATH_UNKNOWN = "path-unknown"
METHOD_REFUSED = "method-refused"

_TABLE: Sequence[tuple[str, int, str]] = (
    (errors.BodyNotJson.code, 400, "The body is not strict JSON"),
    (errors.EnvelopeInvalid.code, 422, "The body is not an envelope"),
    (errors.PayloadInvalid.code, 422, "The payload does not fit the schema"),
    (errors.ModelUnknown.code, 404, "No such model"),
    (errors.ParameterMissing.code, 422, "A parameter is missing"),
    (errors.ContentTypeRefused.code, 415, "The body must be JSON"),
    (errors.BodyTooLarge.code, 413, "The body is too large"),
    (errors.BodyTooSlow.code, 408, "The body arrived too slowly"),
    (errors.HostRefused.code, 403, "The host is not served here"),
    (errors.ModelNotReady.code, 503, "Not ready"),
    (errors.ScorePending.code, 503, "Not scored yet"),
    (errors.QueueFull.code, 429, "Too much waits already"),
    (errors.DeadlinePassed.code, 504, "No answer in time"),
    (errors.WorkerDied.code, 502, "The worker died"),
    (errors.PredictorFailed.code, 500, "The model failed"),
    (errors.OutputNotJson.code, 500, "The model's output is not JSON"),
    (PATH_UNKNOWN, 404, "Nothing is served at this path"),
    (METHOD_REFUSED, 405, "The path does not take this method"),
    (INTERNAL, 500, "Something went wrong here"),
)
STATUS: Mapping[str, int] = {code: status for code, status, _ in _TABLE}
TITLES: Mapping[str, str] = {code: title for code, _, title in _TABLE}


def problem(
    code: str,
    detail: str,
    *,
    request_id: str,
    violations: Sequence[Mapping[str, Json]] | None = None,
) -> tuple[int, bytes]:
    """Return the status and the body of a problem; an unknown code is our own fault.

    The body has at most `MAX_PROBLEM_BYTES`, whatever keys a payload had.
    """
    status = STATUS.get(code, STATUS[INTERNAL])
    body: dict[str, object] = {
        "type": f"urn:ml-py-stevedore:problem:{code}",
        "title": TITLES.get(code, TITLES[INTERNAL]),
        "status": status,
        "detail": detail[:_MAX_DETAIL_CHARS],
        "request_id": request_id,
    }
    if violations is None:
        return status, orjson.dumps(body)
    listed = [
        {"pointer": _enclosing(str(violation["pointer"])), "message": violation["message"]}
        for violation in violations
    ]
    while len(text := orjson.dumps({**body, "violations": listed})) > MAX_PROBLEM_BYTES:
        listed.pop()
    return status, text


def _enclosing(pointer: str) -> str:
    """Return the pointer to the nearest enclosing place whose pointer is not too long to show."""
    while len(orjson.dumps(pointer)) > _MAX_POINTER_BYTES:
        pointer = pointer[:_MAX_POINTER_BYTES].rpartition("/")[0]
    return pointer


def problem_of(error: BaseException, *, request_id: str) -> tuple[int, bytes]:
    """Return status and body for whatever was raised; what is not ours is told in fixed words."""
    if not isinstance(error, StevedoreError):
        detail = "the request could not be answered; the log has the reason"
        return problem(INTERNAL, detail, request_id=request_id)
    return problem(error.code, str(error), request_id=request_id)

"""The table from errors to status codes, and the bodies of problems."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pytest

from stevedore_api import problems
from stevedore_core import errors
from stevedore_core.errors import PayloadInvalid, StevedoreError, Violation

EXPECTED = {
    "body-not-json": 400,
    "body-too-large": 413,
    "body-too-slow": 408,
    "content-type-refused": 415,
    "deadline-passed": 504,
    "envelope-invalid": 422,
    "host-refused": 403,
    "internal-error": 500,
    "method-refused": 405,
    "model-not-ready": 503,
    "model-unknown": 404,
    "output-not-json": 500,
    "parameter-missing": 422,
    "path-unknown": 404,
    "payload-invalid": 422,
    "predictor-failed": 500,
    "queue-full": 429,
    "score-pending": 503,
    "worker-died": 502,
}


def below(error: type[StevedoreError]) -> Iterator[type[StevedoreError]]:
    """Yield the classes that are raised: those below `error` without any below them."""
    for subclass in error.__subclasses__():
        yield from below(subclass)
        if not subclass.__subclasses__():
            yield subclass


SEEN_BY_CALLERS = [
    *below(errors.CallerError),
    *below(errors.ServingError),
    *below(errors.PredictorError),
]


def test_statuses() -> None:
    """Every code has the status that callers know."""
    assert problems.STATUS == EXPECTED


@pytest.mark.parametrize("error", SEEN_BY_CALLERS)
def test_every_error_that_callers_see_is_in_the_table(error: type[StevedoreError]) -> None:
    """No error that a caller can cause or meet falls through to 500."""
    raised = PayloadInvalid([]) if error is PayloadInvalid else error("why")
    status, body = problems.problem_of(raised, request_id="r")
    assert status == EXPECTED[error.code]
    assert json.loads(body)["title"] == problems.TITLES[error.code]


def test_a_problem() -> None:
    """A problem has a stable type, title, status, detail and the request's id."""
    status, body = problems.problem_of(errors.ModelUnknown("no such model"), request_id="r-1")
    assert status == 404
    assert json.loads(body) == {
        "type": "urn:ml-py-stevedore:problem:model-unknown",
        "title": "No such model",
        "status": 404,
        "detail": "no such model",
        "request_id": "r-1",
    }


def invalid(violations: Sequence[Violation], request_id: str = "r") -> bytes:
    """Return the problem of a payload that a worker refused."""
    listed = [asdict(violation) for violation in violations]
    return problems.problem("payload-invalid", "why", request_id=request_id, violations=listed)[1]


def test_an_invalid_payload() -> None:
    """The places of an invalid payload stand as JSON Pointers with sentences."""
    violations = [Violation("/a/0", "the value is less than 1"), Violation("", "it is no object")]
    assert json.loads(invalid(violations))["violations"] == [
        {"pointer": "/a/0", "message": "the value is less than 1"},
        {"pointer": "", "message": "it is no object"},
    ]


@pytest.mark.parametrize("error", [RuntimeError("/secret/path"), SystemExit("secret")])
def test_what_is_not_ours_is_told_in_fixed_words(error: BaseException) -> None:
    """An unexpected exception is 500, and its text stays in the log."""
    status, body = problems.problem_of(error, request_id="r")
    assert status == 500
    assert json.loads(body) == {
        "type": "urn:ml-py-stevedore:problem:internal-error",
        "title": "Something went wrong here",
        "status": 500,
        "detail": "the request could not be answered; the log has the reason",
        "request_id": "r",
    }


def test_an_error_outside_the_table_is_our_own_fault() -> None:
    """A class that no caller should meet is 500."""
    assert problems.problem_of(errors.ModelBroken("why"), request_id="r")[0] == 500


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("step", ["x", "\N{SNOWMAN}", "\x00", "~1"])
def test_a_problem_is_short_whatever_the_keys_of_a_payload(step: str, count: int) -> None:
    """A pointer repeats keys: an endless one is cut to an enclosing place, surplus ones go."""
    violation = Violation("/rows/" + step * 100_000, "\x00" * 200)
    body = invalid([violation] * count, request_id="r" * 128)
    assert len(body) <= problems.MAX_PROBLEM_BYTES
    listed = json.loads(body)["violations"]
    assert {item["pointer"] for item in listed} == {"/rows"}


def test_ten_usual_violations_are_all_shown() -> None:
    """Only hostile payloads lose violations."""
    violations = [Violation(f"/rows/{n}/sepal_length", "x" * 60) for n in range(10)]
    body = invalid(violations)
    assert len(json.loads(body)["violations"]) == 10

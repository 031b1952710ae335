"""Predict and score over a socket: what is answered, and what is refused before a model sees it."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from raw_http import RawConnection, request
from served_layout import Json, MakeLayout, Model, Serve, Server, obedient

PREDICT = "/models/one/predict"
JSON = "Content-Type: application/json"
SUCH_AN_ENVELOPE = 'expected an object like {"predictor": "<model>", "payload": …}'
MIB = 1 << 20


@pytest.fixture
def layout(make_layout: MakeLayout) -> Path:
    """A layout of the model `one`."""
    return make_layout(one=Model(source=obedient("one")))


def send(
    server: Server, path: str, body: bytes, content_type: str | None = "application/json"
) -> httpx.Response:
    """Send a body as it is."""
    headers = {} if content_type is None else {"content-type": content_type}
    return server.client.post(path, content=body, headers=headers)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and detail of a problem, whose other fields are checked here."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert len(answer.content) <= 2_048
    return answer.status_code, body["type"].rpartition(":")[2], body["detail"]


@pytest.mark.parametrize("path", [PREDICT, f"{PREDICT}/"])
@pytest.mark.parametrize("value", [None, True, 0, -0.0, 2**70, 1.5e300, "é\n\U0001f600", [[]], {}])
def test_a_prediction_is_bare_json(shared: Server, path: str, value: Json) -> None:
    """What the model returned comes back as it is, with and without a trailing slash."""
    answer = shared.post(path, {"do": "echo", "value": value})
    assert (answer.status_code, answer.json()) == (200, value)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("path", ["/predict", "/predict/"])
def test_an_envelope_names_the_model(shared: Server, path: str) -> None:
    """The original's envelope answers the bare prediction; keys it does not know are accepted."""
    for extra in ({}, {"client": "a", "predictors": ["two"]}):
        envelope = {"predictor": "two", "payload": {"do": "echo", "value": [False]}, **extra}
        answer = shared.post(path, envelope)
        assert (answer.status_code, answer.json()) == (200, [False])


def test_a_score(shared: Server) -> None:
    """Score answers what `run_scores` returned, on the model's route and by envelope."""
    expected = {"accuracy": 0.5, "loss": {"value": 2, "direction": "lower"}}
    for path in ("/models/one/score", "/models/one/score/"):
        assert shared.post(path, [1]).json() == expected
    for path in ("/score", "/score/"):
        assert shared.post(path, {"predictor": "one", "payload": [1]}).json() == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"do": "echo",}',
        b"nul",
        b'{"do": NaN}',
        b'{"do": "echo", "value": 1e400}',
        b'{"do": "echo", "do": "echo"}',
        b'{"do": "echo", "\\u0064o": "echo"}',
        b'{"do": "\xff"}',
        b'\xef\xbb\xbf{"do": "echo"}',
        '{"do": "echo"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"do": "echo", "value": ' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"do": "echo"} {"do": "echo"}',
    ],
)
def test_what_is_not_strict_json_is_400(shared: Server, body: bytes) -> None:
    """Nothing that JSON does not allow, or that parsers read in two ways, reaches a model."""
    for path in (PREDICT, "/models/one/score"):
        status, code, detail = refusal(send(shared, path, body))
        assert (status, code) == (400, "body-not-json")
        assert detail.startswith("the body ")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "body-not-json", "the body is not strict JSON")),
        (b"{", (400, "body-not-json", "the body is not strict JSON")),
        (b'{"predictor": "\xff"}', (400, "body-not-json", "the body is not strict JSON")),
        (b'{"x":' * 100_000, (400, "body-not-json", "the body is not strict JSON")),
        (b"[]", (422, "envelope-invalid", SUCH_AN_ENVELOPE)),
        (b"null", (422, "envelope-invalid", SUCH_AN_ENVELOPE)),
        (b'{"payload": 1}', (422, "envelope-invalid", SUCH_AN_ENVELOPE)),
        (b'{"predictor": 1, "payload": 1}', (422, "envelope-invalid", SUCH_AN_ENVELOPE)),
        (b'{"predictor": "one"}', (422, "envelope-invalid", SUCH_AN_ENVELOPE)),
        (
            b'{"predictor": "none", "payload": 1}',
            (404, "model-unknown", "no model of that name is served here; `/list` names all"),
        ),
    ],
)
def test_an_envelope_that_is_none(
    shared: Server, body: bytes, expected: tuple[int, str, str]
) -> None:
    """Whatever stands for an envelope is refused in the words for what is wrong with it."""
    for path in ("/predict", "/score"):
        assert refusal(send(shared, path, body)) == expected


@pytest.mark.parametrize("names", [("one", "two"), ("two", "one"), ("one", "one")])
def test_an_envelope_that_names_two_models_is_refused(
    shared: Server, names: tuple[str, str]
) -> None:
    """Which model answers never depends on which of two keys a parser believes."""
    first, second = names
    body = f'{{"predictor": "{first}", "payload": {{"do": "pid"}}, "predictor": "{second}"}}'
    status, code, detail = refusal(send(shared, "/predict", body.encode()))
    assert (status, code) == (400, "body-not-json")
    assert "same key twice" in detail


@pytest.mark.parametrize("depth", [60, 65, 10_000])
def test_the_whole_envelope_is_strict(shared: Server, depth: int) -> None:
    """What the front skips, the worker reads: the payload of an envelope is as strict as any."""
    payload = '{"do": "echo", "value": %s%s}' % ("[" * depth, "]" * depth)  # noqa: UP031  # braces
    body = f'{{"predictor": "one", "payload": {payload}}}'.encode()
    assert send(shared, "/predict", body).status_code == (200 if depth == 60 else 400)


def test_a_payload_that_breaks_the_schema(shared: Server) -> None:
    """The places are listed as JSON Pointers; what was sent is not repeated."""
    answer = shared.post(PREDICT, {"do": 4711})
    assert refusal(answer) == (
        422,
        "payload-invalid",
        "the payload does not fit the model's JSON Schema",
    )
    (violation,) = answer.json()["violations"]
    assert violation["pointer"] == "/do"
    assert "string" in violation["message"]
    assert "4711" not in answer.text
    assert shared.post(PREDICT, []).json()["violations"][0]["pointer"] == ""


def test_an_unknown_model_is_404(shared: Server) -> None:
    """Predict and score of a model that is not here say so, and do not read the body."""
    for verb in ("predict", "score"):
        for body in (b"1", b"{"):
            assert refusal(send(shared, f"/models/none/{verb}", body)) == (
                404,
                "model-unknown",
                "no model of that name is served here; `/list` names all",
            )


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/jsonp",
        "application/json; charset=utf-16",
        'application/json; charset="iso-8859-1"',
        "application/json, text/plain",
        "image/svg+json",
    ],
)
@pytest.mark.fault("C10")
def test_another_content_type_is_415(
    shared: Server, content_type: str | None, figure: Callable[[str], None]
) -> None:
    """A body must say that it is JSON in UTF-8, which no form of a foreign page can."""
    figure("415 for each of 12 content types, at each of 4 paths")
    for path in (PREDICT, "/predict", "/models/one/score", "/score"):
        assert refusal(send(shared, path, b'{"do": "echo"}', content_type)) == (
            415,
            "content-type-refused",
            "send the body as JSON in UTF-8, with the header `Content-Type: application/json`",
        )


@pytest.mark.parametrize(
    "content_type",
    [
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json; version=1",
        "application/ld+json",
    ],
)
@pytest.mark.control("C10")
def test_a_json_content_type_is_taken(shared: Server, content_type: str) -> None:
    """Capitals, UTF-8 and other kinds of JSON make no difference."""
    assert send(shared, PREDICT, b'{"do": "echo"}', content_type).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity"])
def test_an_encoded_body_is_415(shared: Server, encoding: str) -> None:
    """No body is decompressed, so none can explode."""
    answer = shared.client.post(
        PREDICT, json={"do": "echo"}, headers={"content-encoding": encoding}
    )
    if encoding == "identity":
        assert answer.status_code == 200
    else:
        assert refusal(answer) == (
            415,
            "content-type-refused",
            "send the body as it is, without `Content-Encoding`",
        )


TOO_LARGE = (413, "body-too-large", f"the body is longer than {MIB} bytes")


def test_a_body_as_long_as_allowed(shared: Server) -> None:
    """The limit itself is still within it, however the body arrives."""
    empty = b'{"do": "echo", "value": ""}'
    body = empty.replace(b'""', b'"%s"' % (b"x" * (MIB - len(empty))))
    assert len(body) == MIB
    assert send(shared, PREDICT, body).status_code == 200
    assert refusal(send(shared, PREDICT, body + b" ")) == TOO_LARGE
    headers = {"content-type": "application/json"}
    halves = (body[: MIB // 2], body[MIB // 2 :])
    assert shared.client.post(PREDICT, content=iter(halves), headers=headers).status_code == 200


def memory_bytes(server: Server) -> int:
    """Return the resident memory of the front."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4_096


@pytest.mark.fault("C8")
def test_a_gigabyte_that_is_announced_is_not_awaited(shared: Server) -> None:
    """A body too long by its own account is refused unread, and not waved on."""
    before = memory_bytes(shared)
    for expect in ((), ("Expect: 100-continue",)):
        with RawConnection(shared.url) as connection:
            connection.send(request("POST", PREDICT, JSON, "Content-Length: 1000000000", *expect))
            answer = connection.answer()
            assert answer.status == 413
            assert answer.headers["connection"] == "close"
            assert connection.is_closed()
    assert memory_bytes(shared) - before < 32 * MIB


def test_endless_chunks_are_cut(shared: Server) -> None:
    """A chunked body is read up to the limit and no further."""
    before = memory_bytes(shared)
    with RawConnection(shared.url) as connection:
        connection.send(request("POST", PREDICT, JSON, "Transfer-Encoding: chunked"))
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        sent = 0
        while sent < 1_000 and connection.send(piece):
            sent += 1
        assert sent < 1_000
    assert memory_bytes(shared) - before < 32 * MIB
    assert shared.post(PREDICT, {"do": "echo", "value": 1}).json() == 1


def test_bodies_that_arrive_are_bounded_together(layout: Path, serve: Serve) -> None:
    """Many callers that send halves of bodies cannot fill the memory; what they held comes back."""
    server = serve(layout, max_queued_bytes="1000000")
    server.wait_until("/readyz")
    head = request("POST", PREDICT, JSON, "Content-Length: 700000")
    for _ in range(2):
        with RawConnection(server.url) as first, RawConnection(server.url) as second:
            first.send(head + b" " * 600_000)
            time.sleep(0.1)
            second.send(head + b" " * 600_000)
            answer = second.answer()
            assert answer.status == 429
            assert b"the requests that arrive just now hold too many bytes already" in answer.body
            assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
            assert server.post(PREDICT, {"do": "echo", "value": 1}).json() == 1
        time.sleep(0.1)
    assert server.post(PREDICT, {"do": "echo", "value": "x" * 900_000}).status_code == 200


@pytest.mark.fault("C8")
def test_one_byte_chunks(shared: Server) -> None:
    """A body in the smallest pieces is a body like any."""
    body = b'{"do": "echo", "value": "' + b"x" * 20_000 + b'"}'
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with RawConnection(shared.url) as connection:
        connection.send(request("POST", PREDICT, JSON, "Transfer-Encoding: chunked", body=chunks))
        assert connection.answer().body == b'"' + b"x" * 20_000 + b'"'


@pytest.mark.clock
@pytest.mark.fault("C8")
def test_a_body_shorter_than_announced_is_408(shared: Server) -> None:
    """Whoever stops in the middle of a body is told so when the time is up, and cut off."""
    begun = time.monotonic()
    with RawConnection(shared.url) as connection:
        connection.send(request("POST", PREDICT, JSON, "Content-Length: 100", body=b'{"do"'))
        answer = connection.answer()
        assert 0.99 <= time.monotonic() - begun < 3  # the event loop's clock has milliseconds
        assert answer.status == 408
        assert b"no whole body within 1 s" in answer.body
        assert answer.headers["connection"] == "close"
        assert connection.is_closed()


@pytest.mark.clock
def test_a_dripping_body_is_408(shared: Server) -> None:
    """The time for a body counts from its begin, not from its last byte."""
    begun = time.monotonic()
    with RawConnection(shared.url) as connection:
        connection.send(request("POST", PREDICT, JSON, "Content-Length: 100"))
        while time.monotonic() - begun < 3 and connection.send(b" "):
            if connection.is_closed(within_s=0.2):
                break
        assert 1 <= time.monotonic() - begun < 3
        assert connection.answer().status == 408


def test_a_caller_that_leaves_disturbs_nobody(shared: Server) -> None:
    """A connection that ends within a body is logged as such, and is no error."""
    with RawConnection(shared.url) as connection:
        connection.send(
            request("POST", PREDICT, JSON, "X-Request-Id: left", "Content-Length: 9", body=b"{")
        )
        time.sleep(0.2)
    with RawConnection(shared.url) as connection:
        connection.send(request("POST", PREDICT, JSON, "X-Request-Id: gone", "Content-Length: 9"))
    for request_id in ("left", "gone"):
        (line,) = shared.await_lines(1, request_id=request_id)
        assert line["status"] == 499


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"do": ["zebra-4711"]}', 422),
        (b'["zebra-4711"]', 422),
        (b'{"do": "zebra-4711"', 400),
        (b'{"zebra-4711": 1, "zebra-4711": 2}', 400),
        (b'{"predictor": "zebra-4711", "payload": "zebra-4711"}', 404),
        (b'{"predictor": "one", "payload": "zebra-4711"}', 422),
        (b'{"do": "nan", "value": "zebra-4711"}', 500),
        (b'{"do": "object", "value": "zebra-4711"}', 500),
        (b'{"do": "echo", "value": "zebra-4711"}', 200),
    ],
)
def test_no_problem_and_no_log_repeats_a_payload(shared: Server, body: bytes, status: int) -> None:
    """Whatever becomes of a request, what it held is nobody else's to read."""
    path = "/predict" if b"predictor" in body else PREDICT
    answer = send(shared, path, body)
    assert answer.status_code == status
    assert status == 200 or "zebra" not in answer.text
    assert shared.post(PREDICT, {"do": "echo"}).status_code == 200  # and what it logged is written
    assert "zebra" not in shared.log.read_text() + shared.errors.read_text()


@pytest.mark.parametrize("do", ["raise", "nan", "object"])
def test_a_model_that_fails_is_500_in_fixed_words(shared: Server, do: str) -> None:
    """What a model raises or returns stays in the log, and the next call is answered."""
    for value in ("ValueError", "KeyError", "SystemExit"):
        answer = shared.post(PREDICT, {"do": do, "value": value})
        status, code, _ = refusal(answer)
        assert (status, code) == (
            500,
            "predictor-failed" if do == "raise" else "output-not-json",
        )
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
    assert shared.post(PREDICT, {"do": "echo", "value": 1}).json() == 1


def test_what_a_model_prints_is_not_in_the_answer(shared: Server) -> None:
    """Standard output of a model goes to the log, not between the frames."""
    answer = shared.post(PREDICT, {"do": "print", "value": 10_000})
    assert (answer.status_code, answer.json()) == (200, 10_000)

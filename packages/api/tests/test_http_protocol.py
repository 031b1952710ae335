"""The limits on connections and on a request's head, and requests that no client library sends."""

import time
from pathlib import Path

import pytest
from raw_http import RawConnection, request
from served_layout import MakeLayout, Model, Serve, Server, obedient

PREDICT = "/models/one/predict"
JSON = "Content-Type: application/json"
LIMIT = 16 << 10
"""Bytes of a head that the shared server reads."""


def answer_to(server: Server, data: bytes) -> tuple[int, bytes]:
    """Send bytes on a connection of their own, and return status and body of what comes back."""
    with RawConnection(server.url) as connection:
        connection.send(data)
        answer = connection.answer()
        assert answer.status == 200 or connection.is_closed()
        return answer.status, answer.body


def test_long_headers_are_431(shared: Server) -> None:
    """All headers together have a limit in bytes, be they many or long."""
    within = [f"X-{n}: {'x' * 1_000}" for n in range(10)]
    assert answer_to(shared, request("GET", "/livez", *within)) == (200, b'"LIVE"')
    refused = (431, b"the headers are too large")
    assert answer_to(shared, request("GET", "/livez", *within, *within)) == refused
    assert answer_to(shared, request("GET", "/livez", f"X: {'x' * LIMIT}")) == refused
    assert answer_to(shared, request("GET", f"/{'x' * LIMIT}")) == refused


def test_many_headers_are_431(shared: Server) -> None:
    """There is a limit to how many headers a request has; `Host` counts."""
    assert answer_to(shared, request("GET", "/livez", *["X: 1"] * 39)) == (200, b'"LIVE"')
    assert answer_to(shared, request("GET", "/livez", *["X: 1"] * 40)) == (
        431,
        b"there are too many headers",
    )


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /",
        b"GET /livez HTTP/1.1\r\nX-Name",
        b"GET /livez HTTP/1.1\r\nX: ",
        request("POST", PREDICT, JSON, "Transfer-Encoding: chunked", body=b"1\r\n1\r\n0\r\nX: "),
        request("POST", PREDICT, JSON, "Transfer-Encoding: chunked", body=b"1;x="),
        request("POST", "/nothing", "Transfer-Encoding: chunked", body=b"1\r\n1\r\n0\r\nX: "),
    ],
    ids=["path", "name", "value", "trailer", "chunk extension", "trailer nobody reads"],
)
def test_an_endless_line_is_cut(shared: Server, begin: bytes) -> None:
    """No line of a request grows without end, wherever it stands."""
    before = int(Path(f"/proc/{shared.process.pid}/statm").read_text().split()[1]) * 4_096
    with RawConnection(shared.url) as connection:
        connection.send(begin)
        pieces = 0
        while pieces < 64 and connection.send(b"a" * (1 << 20)):
            pieces += 1
        assert pieces < 64
    after = int(Path(f"/proc/{shared.process.pid}/statm").read_text().split()[1]) * 4_096
    assert after - before < 16 << 20
    assert shared.get("/livez").status_code == 200


@pytest.mark.clock
@pytest.mark.parametrize("begin", [b"", b"GET /livez HTTP/1.1\r\n", b"GET"])
def test_a_head_that_does_not_come_is_408(shared: Server, begin: bytes) -> None:
    """A connection that says nothing, or stops within its head, is cut when the time is up."""
    begun = time.monotonic()
    with RawConnection(shared.url) as connection:
        connection.send(begin)
        answer = connection.answer()
        assert (answer.status, answer.body) == (408, b"the headers arrived too slowly")
        assert connection.is_closed()
    assert 0.9 <= time.monotonic() - begun < 3


@pytest.mark.clock
def test_a_dripping_head_is_408(shared: Server) -> None:
    """The time for a head counts from its begin, not from its last byte."""
    begun = time.monotonic()
    with RawConnection(shared.url) as connection:
        connection.send(b"GET /livez HTTP/1.1\r\nX: ")
        while time.monotonic() - begun < 3 and connection.send(b"x"):
            if connection.is_closed(within_s=0.2):
                break
        assert connection.answer().status == 408
    assert time.monotonic() - begun < 3


def test_a_kept_connection_serves_many_requests(shared: Server) -> None:
    """A connection is used again, also after longer than a head may take, and is never mixed up."""
    with RawConnection(shared.url) as connection:
        for number in range(200):
            body = b'{"do": "echo", "value": %d}' % number
            length = f"Content-Length: {len(body)}"
            connection.send(request("POST", PREDICT, JSON, length, body=body))
            assert connection.answer().body == b"%d" % number
        assert not connection.is_closed(within_s=1.2)
        connection.send(request("GET", "/livez"))
        assert connection.answer().status == 200


@pytest.mark.clock
def test_an_idle_connection_is_closed(make_layout: MakeLayout, serve: Serve) -> None:
    """The time counts from the last answer, and not while one is awaited."""
    server = serve(make_layout(one=Model(source=obedient("one"))), keep_alive_s="1")
    server.wait_until("/readyz")
    with RawConnection(server.url) as connection:
        for data in (request("GET", "/livez"), predict(b'{"do": "sleep", "value": 1.2}')):
            connection.send(data)
            assert connection.answer().status == 200
            answered = time.monotonic()
            assert not connection.is_closed(within_s=0.6)
        assert connection.is_closed()
        assert 0.9 <= time.monotonic() - answered < 3


def test_large_requests_on_one_connection(shared: Server) -> None:
    """What counts toward the limit of a head is that request's head alone."""
    body = b'{"do": "echo", "value": "' + b"x" * 500_000 + b'"}'
    length = f"Content-Length: {len(body)}"
    with RawConnection(shared.url) as connection:
        for _ in range(5):
            connection.send(request("POST", PREDICT, JSON, length, body=body))
            assert connection.answer().status == 200


def test_pipelined_requests_are_answered_in_order(shared: Server) -> None:
    """Requests that do not wait for answers get them one by one in their order."""
    bodies = [b'{"do": "echo", "value": %d}' % number for number in range(20)]
    requests = [
        request("POST", PREDICT, JSON, f"Content-Length: {len(body)}", body=body) for body in bodies
    ]
    with RawConnection(shared.url) as connection:
        connection.send(b"".join(requests))
        assert [connection.answer().body for _ in bodies] == [b"%d" % n for n in range(20)]


def predict(order: bytes, *headers: str) -> bytes:
    """Return a request that tells the model what to do."""
    length = f"Content-Length: {len(order)}"
    return request("POST", PREDICT, length, *(headers or (JSON,)), body=order)


def test_pipelined_requests_of_all_kinds(shared: Server) -> None:
    """What is answered at once, what a model answers and what FastAPI does keep their order."""
    slow = predict(b'{"do": "sleep", "value": 0.2}')
    requests = [
        (slow, 200),
        (request("GET", "/livez"), 200),
        (predict(b"{"), 400),
        (predict(b"{}", "Content-Type: text/plain"), 415),
        (request("GET", "/nothing"), 404),
        (predict(b'{"do": 1}'), 422),
        (slow, 200),
    ]
    with RawConnection(shared.url) as connection:
        connection.send(b"".join(data for data, _ in requests))
        assert [connection.answer().status for _ in requests] == [s for _, s in requests]


def test_many_pipelined_refusals(shared: Server) -> None:
    """However many answers are due at once, each is written in its turn."""
    refused = [predict(b"1", "Content-Type: x", f"X-Request-Id: {n}") for n in range(1_000)]
    with RawConnection(shared.url) as connection:
        connection.send(predict(b'{"do": "sleep", "value": 0.2}') + b"".join(refused))
        assert connection.answer().status == 200
        answers = [connection.answer() for _ in refused]
    assert [answer.headers["x-request-id"] for answer in answers] == [str(n) for n in range(1_000)]
    assert {answer.status for answer in answers} == {415}


def test_who_does_not_read_gets_no_more(shared: Server) -> None:
    """Answers that nobody takes do not pile up; once they are taken, the rest follows."""
    before = int(Path(f"/proc/{shared.process.pid}/statm").read_text().split()[1]) * 4_096
    with RawConnection(shared.url) as connection:
        connection.send(predict(b'{"do": "long", "value": 1000000}') * 100)
        time.sleep(1)
        after = int(Path(f"/proc/{shared.process.pid}/statm").read_text().split()[1]) * 4_096
        assert after - before < 32 << 20
        assert {len(connection.answer().body) for _ in range(100)} == {1_000_002}


NOT_HTTP = {
    "length and chunks": request(
        "POST", PREDICT, JSON, "Content-Length: 3", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "chunks and length": request(
        "POST", PREDICT, JSON, "Transfer-Encoding: chunked", "Content-Length: 3", body=b"0\r\n\r\n"
    ),
    "two lengths": request(
        "POST", PREDICT, JSON, "Content-Length: 3", "Content-Length: 4", body=b"1234"
    ),
    "a length twice": request(
        "POST", PREDICT, JSON, "Content-Length: 4", "Content-Length: 4", body=b"1234"
    ),
    "negative length": request("POST", PREDICT, JSON, "Content-Length: -4", body=b"1234"),
    "length with sign": request("POST", PREDICT, JSON, "Content-Length: +4", body=b"1234"),
    "length with underscore": request("POST", PREDICT, JSON, "Content-Length: 1_0", body=b"1234"),
    "length beyond 64 bits": request("POST", PREDICT, JSON, f"Content-Length: {'9' * 5000}"),
    "chunk of no length": request(
        "POST", PREDICT, JSON, "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"
    ),
    "chunk beyond 64 bits": request(
        "POST", PREDICT, JSON, "Transfer-Encoding: chunked", body=b"f" * 17 + b"\r\n"
    ),
    "unknown coding": request("POST", PREDICT, JSON, "Transfer-Encoding: chunked, x", body=b"0"),
    "NUL in a header": request("GET", "/livez", "X: a\0b"),
    "NUL in the path": request("GET", "/livez\0"),
    "space in a name": request("GET", "/livez", "X Y: 1"),
    "folded header": request("GET", "/livez", "X: a", " b"),
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    "path beyond ASCII": request("GET", "/liv\xe9z"),
    "unknown method": request("FROB", "/livez"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_two_servers_could_read_differently_is_400(shared: Server, data: bytes) -> None:
    """A request whose end or meaning is open to doubt is refused and its connection closed."""
    assert answer_to(shared, data) == (400, b"Invalid HTTP request received.")


def test_odd_requests_that_are_answered(shared: Server) -> None:
    """An absolute URI, an old version and a wish for another protocol change nothing."""
    with RawConnection(shared.url) as connection:
        for data in (
            request("GET", "http://evil.example/livez"),
            request("GET", "/livez", "Connection: Upgrade", "Upgrade: websocket"),
            b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n",
        ):
            connection.send(data)
            assert connection.answer().body == b'"LIVE"'
        assert connection.is_closed()

"""Clients that leave, send too much, send it packed, or send what is hardly HTTP."""

import gzip
import http.server
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from raw_http import RawConnection, request
from served_layout import MakeLayout, Model, Serve, Server, obedient

PREDICT = "/models/one/predict"
JSON = "Content-Type: application/json"
MIB = 1 << 20
ROOM_BYTES = 32 * MIB
GROWTH_BYTES = 1 * MIB


def call(do: str, value: str, path: str = PREDICT) -> bytes:
    """Return a request that tells a model what to do."""
    body = f'{{"do": "{do}", "value": {value}}}'.encode()
    return request("POST", path, JSON, f"Content-Length: {len(body)}", body=body)


def memory_bytes(server: Server) -> int:
    """Return the resident memory of the front."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4_096


@pytest.fixture
def server(make_layout: MakeLayout, serve: Serve) -> Server:
    """A ready server of the model `one`, for which only five requests may wait."""
    running = serve(make_layout(one=Model(source=obedient("one"))), max_queued="5")
    running.wait_until("/readyz")
    return running


def runs_of_those_who_left(server: Server, room: Path, callers: int, leaving: int) -> int:
    """Have many wait behind a slow call, some of whom leave; return how many of those were run."""
    with ExitStack() as staying:
        slow = staying.enter_context(RawConnection(server.url))
        slow.send(call("sleep", "0.7"))
        time.sleep(0.2)
        waiting = []
        for number in range(callers):
            waiting.append(staying.enter_context(RawConnection(server.url)))
            waiting[-1].send(call("note", f'"{room / str(number)}"'))
        time.sleep(0.2)
        for connection in waiting[:leaving]:
            connection.close()
        slow.answer()
        for connection in waiting[leaving:]:
            assert connection.answer().status == 200
    noted = {int(file.name) for file in room.iterdir()}
    assert noted >= set(range(leaving, callers))
    return len(noted & set(range(leaving)))


@pytest.mark.clock
@pytest.mark.fault("C3")
def test_who_leaves_while_waiting_is_not_run(
    shared: Server, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Of a hundred that wait, ninety leave: the model is run for the ten that stay."""
    assert runs_of_those_who_left(shared, tmp_path, 100, 90) == 0
    figure("0 of 90 run that left, 10 of 10 that stayed")


@pytest.mark.clock
@pytest.mark.control("C3")
def test_a_run_in_vain_would_be_seen(shared: Server, tmp_path: Path) -> None:
    """Each run leaves its note: those of callers who stay are all counted."""
    assert runs_of_those_who_left(shared, tmp_path, 10, 0) == 0
    assert len(list(tmp_path.iterdir())) == 10


def runs_of_one_who_left(server: Server, room: Path, first: bytes, *, leaves: bool) -> int:
    """Have one client send a hundred requests at once behind a slow call; return how many ran.

    The slow call is another client's, unless one is the `first` that is sent.
    """
    with RawConnection(server.url) as other, RawConnection(server.url) as pipelining:
        other.send(b"" if first else call("sleep", "0.5"))
        time.sleep(0.2)
        notes = [call("note", f'"{room / str(number)}"') for number in range(100)]
        pipelining.send(first + b"".join(notes))
        time.sleep(0.2)
        if leaves:
            pipelining.close()
        else:
            for _ in [first, *notes] if first else notes:
                assert pipelining.answer().status == 200
        other.send(call("echo", "1"))  # waits for all that is run
        for _ in range(1 if first else 2):
            assert other.answer().status == 200
    return len(list(room.iterdir()))


@pytest.mark.fault("C3")
@pytest.mark.parametrize("first", [b"", call("sleep", "0.5")], ids=["of another", "of its own"])
def test_who_leaves_is_gone_for_all_that_it_sent(
    shared: Server, tmp_path: Path, figure: Callable[[str], None], first: bytes
) -> None:
    """A client that did not wait for answers leaves behind a slow call: none of its others runs."""
    assert runs_of_one_who_left(shared, tmp_path, first, leaves=True) == 0
    figure("0 of 100 run that one client sent at once before it left")


@pytest.mark.control("C3")
@pytest.mark.parametrize("first", [b"", call("sleep", "0.5")], ids=["of another", "of its own"])
def test_runs_for_one_client_would_be_seen(shared: Server, tmp_path: Path, first: bytes) -> None:
    """Where that client stays, all hundred are run and counted."""
    assert runs_of_one_who_left(shared, tmp_path, first, leaves=False) == 100


def free_places(server: Server, places: int) -> int:
    """Return how many of so many requests are taken while one runs: the others find no place."""
    with ExitStack() as stack:
        slow = stack.enter_context(RawConnection(server.url))
        slow.send(call("sleep", "0.5"))
        time.sleep(0.2)
        waiting = [stack.enter_context(RawConnection(server.url)) for _ in range(places)]
        for connection in waiting:
            connection.send(call("echo", "1"))
        return sum(connection.answer().status == 200 for connection in waiting)


@pytest.mark.fault("C4")
def test_who_leaves_during_a_call_costs_no_place(
    server: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """However many leave while their call runs, all places are free again, and no error is told."""
    count = scale(50, 1_000)
    for number in range(count):
        with RawConnection(server.url) as connection:
            connection.send(call("sleep", "0.02"))
            time.sleep(0.01 * (number % 2))
    time.sleep(0.5)
    assert free_places(server, 5) == 5
    assert server.errors.read_text() == ""
    lines = [line for line in server.lines() if line.get("status") == 499]
    assert 0 < len(lines) <= count
    figure(f"{count} left in the middle: 0 places lost, one line of log each at most")


@pytest.mark.control("C4")
def test_a_lost_place_would_be_seen(server: Server) -> None:
    """A place that someone holds is missing."""
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(RawConnection(server.url)).send(call("sleep", "0.5"))
            time.sleep(0.05)
        assert free_places(server, 5) < 5


def send_until_cut(server: Server, head: bytes, piece: bytes, most: int) -> int:
    """Send a body piece by piece until the server hangs up; return how many bytes it took."""
    sent = 0
    with RawConnection(server.url) as connection:
        connection.send(head)
        while sent < most and connection.send(piece):
            sent += len(piece)
    return sent


LENGTH = request("POST", PREDICT, JSON, "Content-Length: 1000000000")
CHUNKED = request("POST", PREDICT, JSON, "Transfer-Encoding: chunked")
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
TOO_MUCH = {
    "a length of 1 GB": (LENGTH, b" " * 0x10000),
    "chunks without end": (CHUNKED, CHUNK),
    "chunks of one byte": (CHUNKED, b"1\r\n \r\n" * 1_000),
    "a short length": (
        request("POST", PREDICT, JSON, "Content-Length: 2", body=b"{}"),
        b" " * 0x10000,
    ),
}


@pytest.mark.fault("C8")
def test_a_body_without_end_takes_no_memory(shared: Server, figure: Callable[[str], None]) -> None:
    """A gigabyte, by its length or in chunks of any size, is cut long before it is here."""
    before, most = memory_bytes(shared), 0
    for name, (head, piece) in TOO_MUCH.items():
        sent = send_until_cut(shared, head, piece, 1_000_000_000)
        assert sent < 100 * MIB, name
        most = max(most, memory_bytes(shared) - before)
    assert most < ROOM_BYTES
    assert shared.get("/livez").status_code == 200
    figure(f"{len(TOO_MUCH)} bodies of 1 GB: {most / MIB:.1f} MiB more at most")


@pytest.mark.fault("C8")
def test_refusals_leave_nothing_behind(
    shared: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """A hundred refusals of each kind cost less than a megabyte that stays."""
    rounds = scale(1, 10)

    refused = [TOO_MUCH["a length of 1 GB"], TOO_MUCH["chunks without end"]]

    def refuse_a_hundred_of_each() -> None:
        for head, piece in refused:
            for _ in range(100):
                assert send_until_cut(shared, head, piece, 100 * MIB) < 100 * MIB

    refuse_a_hundred_of_each()  # what is made once, is made
    before = memory_bytes(shared)
    for _ in range(rounds):
        refuse_a_hundred_of_each()
    growth = (memory_bytes(shared) - before) / rounds / len(refused)
    assert growth < GROWTH_BYTES
    figure(f"{max(0, growth) / MIB:.2f} MiB more for each 100 refusals")


@pytest.mark.control("C8")
def test_memory_that_is_taken_is_seen(make_layout: MakeLayout, serve: Serve) -> None:
    """A server that is told to take long bodies takes the memory, and it is measured."""
    layout = make_layout(one=Model(source=obedient("one")))
    server = serve(layout, max_body_bytes=str(1 << 30), max_queued_bytes=str(1 << 30))
    before = memory_bytes(server)
    with RawConnection(server.url) as connection:
        connection.send(LENGTH)
        for _ in range(48 * MIB // 0x10000):
            connection.send(b" " * 0x10000)
        time.sleep(0.2)
        assert memory_bytes(server) - before > ROOM_BYTES


def bombs() -> dict[str, bytes]:
    """Return bodies of a few kilobytes that are many megabytes, by their encodings."""
    zeros = b"0" * (64 * MIB)
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    return {
        "gzip": gzip.compress(zeros),
        "x-gzip": gzip.compress(zeros),
        "deflate": raw.compress(zeros) + raw.flush(),
        "zlib": zlib.compress(zeros, 9),
        "gzip, gzip": gzip.compress(gzip.compress(zeros)),
        "br": bytes.fromhex("cfffff7ff8ffff3f00") * 64,
        "zstd": b"\x28\xb5\x2f\xfd\xa4" + b"\0" * 600,
        "compress": b"\x1f\x9d\x90" + b"0" * 600,
        "identity, gzip": gzip.compress(zeros),
        "GZip": gzip.compress(zeros),
    }


def unpacked(body: bytes) -> int:
    """Return how many bytes are in a packed body."""
    return len(gzip.decompress(body))


@pytest.mark.fault("C9")
def test_no_body_is_unpacked(shared: Server, figure: Callable[[str], None]) -> None:
    """An encoded body is 415, by its header alone; in chunks, too, and as a transfer coding."""
    before, found = memory_bytes(shared), bombs()
    for encoding, body in found.items():
        for framing in (
            request("POST", PREDICT, JSON, f"Content-Encoding: {encoding}",
                    f"Content-Length: {len(body)}", body=body),
            request("POST", PREDICT, JSON, f"Content-Encoding: {encoding}",
                    "Transfer-Encoding: chunked",
                    body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)),
        ):  # fmt: skip
            with RawConnection(shared.url) as connection:
                connection.send(framing)
                assert connection.answer().status == 415
    with RawConnection(shared.url) as connection:
        connection.send(request("POST", PREDICT, JSON, "Transfer-Encoding: gzip, chunked"))
        connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(found["gzip"]), found["gzip"]))
        assert connection.answer().status in {400, 415}
    growth = memory_bytes(shared) - before
    assert growth < ROOM_BYTES
    figure(f"{len(found)} of {len(found)} encodings refused, {growth / MIB:.1f} MiB more")


@pytest.mark.control("C9")
def test_a_bomb_would_explode(shared: Server) -> None:
    """The bodies are what they are called, and the same body unpacked is not 415."""
    found = bombs()
    assert unpacked(found["gzip"]) > 900 * len(found["gzip"])
    assert unpacked(found["gzip, gzip"]) > 20 * len(found["gzip, gzip"])
    with RawConnection(shared.url) as connection:
        connection.send(call("echo", "0"))
        assert connection.answer().status == 200


LIMIT = 16 << 10
"""Bytes of a head that the shared server reads."""

HEADER_LINES = {
    "space in a name": ["X Y: 1"],
    "space before the colon": ["X : 1"],
    "no name": [": 1"],
    "no colon": ["X"],
    "folded": ["X: a", " b"],
    "folded by a tab": ["X: a", "\tb"],
    "NUL": ["X: a\0b"],
    "carriage return": ["X: a\rb"],
    "delete in a name": ["X\x7f: 1"],
    "brackets in a name": ["X[0]: 1"],
    "two lengths": ["Content-Length: 3", "Content-Length: 4"],
    "a length twice": ["Content-Length: 2", "Content-Length: 2"],
    "lengths in a list": ["Content-Length: 2, 2"],
    "negative length": ["Content-Length: -2"],
    "length with a sign": ["Content-Length: +2"],
    "hexadecimal length": ["Content-Length: 0x2"],
    "length with an underscore": ["Content-Length: 1_0"],
    "length beyond 64 bits": ["Content-Length: " + "9" * 5_000],
    "empty length": ["Content-Length: "],
    "length and chunks": ["Content-Length: 2", "Transfer-Encoding: chunked"],
    "chunks and length": ["Transfer-Encoding: chunked", "Content-Length: 2"],
    "unknown coding": ["Transfer-Encoding: chunked, x"],
    "chunked misspelt": ["Transfer-Encoding: xchunked"],
    "long": [f"X: {'x' * LIMIT}"],
    "1 MB": [f"X: {'x' * 1_000_000}"],
    "41": ["X: 1"] * 41,
    "20,000": ["X: 1"] * 20_000,
}
START_LINES = {
    "unknown method": b"FROB /livez HTTP/1.1\r\n",
    "method in small letters": b"get /livez HTTP/1.1\r\n",
    "no path": b"GET HTTP/1.1\r\n",
    "NUL in the path": b"GET /livez\0 HTTP/1.1\r\n",
    "path beyond ASCII": b"GET /liv\xe9z HTTP/1.1\r\n",
    "path without a slash": b"GET livez HTTP/1.1\r\n",
    "long path": b"GET /" + b"x" * LIMIT + b" HTTP/1.1\r\n",
    "HTTP/3": b"GET /livez HTTP/3.0\r\n",
    "HTTP/1.10": b"GET /livez HTTP/1.10\r\n",
    "other protocol": b"GET /livez SIP/2.0\r\n",
}
BODIES = {
    "chunk of no length": b"zz\r\n{}\r\n0\r\n\r\n",
    "negative chunk": b"-2\r\n{}\r\n0\r\n\r\n",
    "chunk beyond 64 bits": b"f" * 17 + b"\r\n",
    "chunk longer than its length": b"1\r\n{}\r\n0\r\n\r\n",
    "chunk without an end": b"2\r\n{}0\r\n\r\n",
}
WHOLE = {
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
HOSTS = ("localhost/livez?", "localhost#", "a@localhost", "evil.example", "", "localhost.", "[::1")


def malformed() -> dict[str, bytes]:
    """Return requests that no client library sends, and no server should take."""
    head = b"Host: localhost\r\n\r\n"
    return {
        **{k: request("POST", PREDICT, JSON, *v, body=b"{}") for k, v in HEADER_LINES.items()},
        **{name: line + head for name, line in START_LINES.items()},
        **{name: CHUNKED + body for name, body in BODIES.items()},
        **WHOLE,
        **{f"host `{host}`": request("GET", "/livez", host=host) for host in HOSTS},
    }


def taken(url: str, requests: dict[str, bytes]) -> dict[str, int]:
    """Return which requests are answered with anything but a refusal, and how."""
    found = {}
    for name, data in requests.items():
        with RawConnection(url) as connection:
            connection.send(data)
            status = connection.status(within_s=1.5)
            if status not in {0, 400, 403, 404, 405, 408, 413, 431}:
                found[name] = status
    return found


@pytest.mark.fault("C11")
def test_what_is_hardly_http_is_refused(shared: Server, figure: Callable[[str], None]) -> None:
    """Requests that two servers could read differently are refused, and the next one is served."""
    requests = malformed()
    assert taken(shared.url, requests) == {}
    assert shared.get("/livez").status_code == 200
    assert shared.errors.read_text() == ""
    figure(f"{len(requests)} of {len(requests)} refused, none in a model's hands")


class _Lenient(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815  # as the library calls it

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def lenient() -> Iterator[str]:
    """A server of the standard library, which takes what it gets."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Lenient) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.control("C11")
def test_a_server_that_takes_it_is_seen(lenient: str) -> None:
    """Python's own server answers such requests with 200."""
    requests = malformed()
    seen = ("two lengths", "length and chunks", "folded", "host `evil.example`")
    assert taken(lenient, {name: requests[name] for name in seen}) == dict.fromkeys(seen, 200)


def kinds(number: int) -> tuple[bytes, int, bytes]:
    """Return one of several requests, with the status and the body that belong to it."""
    value = str(number)
    match number % 8:
        case 0:
            return request("GET", f"/nothing/{number}"), 404, b""
        case 1:
            return request("OPTIONS", PREDICT), 405, b""
        case 2:
            chunk = f'{{"do": "echo", "value": {value}}}'.encode()
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk)
            return CHUNKED + body, 200, value.encode()
        case 3:
            return call("echo", "NaN"), 400, b""
        case 4:
            return request("DELETE", "/livez"), 405, b""
        case _:
            return call("echo", value), 200, value.encode()


def out_of_step(connection: RawConnection, expected: list[tuple[int, bytes]]) -> int:
    """Return how many of the next answers are not what belongs to their request."""
    found = 0
    for status, body in expected:
        answer = connection.answer()
        found += answer.status != status or (status == 200 and answer.body != body)
    return found


@pytest.mark.fault("C12")
def test_answers_stay_in_step(
    shared: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """On one connection, each request of many kinds, several at a time, gets its own answer."""
    count, mistaken = scale(2_000, 100_000), 0
    with RawConnection(shared.url) as connection:
        for first in range(0, count, 10):
            asked = [kinds(number) for number in range(first, first + 10)]
            connection.send(b"".join(data for data, _, _ in asked))
            mistaken += out_of_step(connection, [(status, body) for _, status, body in asked])
    assert mistaken == 0
    figure(f"0 of {count} answers on one connection out of step, 10 sent at a time")


@pytest.mark.control("C12")
def test_answers_out_of_step_are_seen(shared: Server) -> None:
    """One answer more than was expected shifts all that follow."""
    asked = [kinds(number) for number in (5, 6, 7, 13, 14)]
    with RawConnection(shared.url) as connection:
        connection.send(call("echo", "0") + b"".join(data for data, _, _ in asked))
        assert out_of_step(connection, [(status, body) for _, status, body in asked]) == 5


@pytest.mark.fault("C12")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /livez HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n", 200),
        (b"GET /livez\r\nHost: localhost\r\n\r\n", 200),
        (b"GET  /livez  HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (request("GET", "/livez", "Connection: close"), 200),
        (request("HEAD", "/livez"), 405),
        (request("OPTIONS", "*"), 404),
        (request("TRACE", "/livez"), 405),
        (request("CONNECT", "localhost:80"), 400),
        (request("PUT", PREDICT, "Content-Length: 2", body=b"{}"), 405),
        (request("PATCH", PREDICT), 405),
        (request("GET", PREDICT), 405),
    ],
)
def test_other_methods_and_versions(shared: Server, data: bytes, status: int) -> None:
    """What is no GET and no POST, or older, has an answer of its own or is refused."""
    with RawConnection(shared.url) as connection:
        connection.send(data)
        assert connection.status() == status
    assert shared.get("/livez").status_code == 200

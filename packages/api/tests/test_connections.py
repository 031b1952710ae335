"""Many connections, slow ones, and clients that do not read."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from private_network import private_network
from raw_http import RawConnection, request
from served_layout import MakeLayout, Model, Serve, Server, obedient

pytestmark = pytest.mark.clock

Scale = Callable[[int, int], int]
Figure = Callable[[str], None]

PREDICT = "/models/one/predict"
JSON = "Content-Type: application/json"
SHORT_S = 0.01
"""What is shorter is a matter of who else has the processor."""
SLACK = 3
"""How much further from the promise than allowed it may be on a busy machine, at small scale."""


@pytest.fixture
def layout(make_layout: MakeLayout) -> Iterator[Path]:
    """A layout of the model `one`, for servers in a network of their own, where it can be had."""
    with private_network():
        yield make_layout(one=Model(source=obedient("one")))


def test_a_private_network_is_no_other() -> None:
    """What listens elsewhere cannot be reached from it, and can be again after it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with private_network() as is_private, closing(socket.socket()) as inside:
            assert bool(inside.connect_ex(address)) == is_private
        socket.create_connection(address, timeout=5).close()


def open_connections(server: Server) -> int:
    """Return how many sockets the front has open."""
    count = 0
    for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed just now
            count += file.readlink().name.startswith("socket:")
    return count


def settle(server: Server) -> None:
    """Close the client's own connection, and wait until the front has."""
    before = open_connections(server)
    server.client.close()
    begun = time.monotonic()
    while open_connections(server) == before:
        assert time.monotonic() - begun < 5
        time.sleep(0.01)


def connections(server: Server, count: int, sent: bytes, stack: ExitStack) -> list[RawConnection]:
    """Open so many connections, and send the same on each."""
    several = []
    for _ in range(count):
        connection = stack.enter_context(RawConnection(server.url))
        connection.send(sent)
        several.append(connection)
    return several


def cpu_s(server: Server) -> float:
    """Return the processor time that the front has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def open_files(server: Server) -> int:
    """Return how many files the front has open."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def is_served(server: Server) -> float:
    """Send a request on a new connection; return the seconds its answer took."""
    begun = time.monotonic()
    with RawConnection(server.url) as connection:
        connection.send(request("GET", "/livez"))
        assert connection.answer().status == 200
    return time.monotonic() - begun


def flood(layout: Path, serve: Serve, count: int, **settings: str) -> tuple[Server, float, float]:
    """Open idle connections; return the server, its share of a core then, and a probe's seconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    try:
        server = serve(layout, **settings)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 500)), hard))
    server.wait_until("/readyz")
    settle(server)
    try:
        with ExitStack() as stack:
            connections(server, count, b"", stack)
            time.sleep(0.5)
            slowest_s = max(is_served(server) for _ in range(20))
            begun, used = time.monotonic(), cpu_s(server)
            time.sleep(1)
            share = (cpu_s(server) - used) / (time.monotonic() - begun)
            assert open_files(server) < 1_024
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return server, share, slowest_s


@pytest.mark.fault("C2")
def test_idle_connections_make_room(
    layout: Path, serve: Serve, scale: Scale, figure: Figure
) -> None:
    """More idle connections than there are files for: the oldest go, and who asks is answered."""
    count = scale(2_000, 10_000)
    _, share, slowest_s = flood(layout, serve, count, header_deadline_s="60")
    assert slowest_s < 2
    assert share < 0.2
    figure(
        f"{count} idle connections to a front with 1024 files: probes within "
        f"{slowest_s * 1000:.0f} ms, {share:.0%} of a core"
    )


def test_the_oldest_idle_connection_goes_first(layout: Path, serve: Serve) -> None:
    """One that waits for its answer stays, and so does one that was used lately."""
    server = serve(layout, max_connections="5", header_deadline_s="60")
    server.wait_until("/readyz")
    settle(server)
    body = b'{"do": "sleep", "value": 1}'
    call = request("POST", PREDICT, JSON, f"Content-Length: {len(body)}", body=body)
    with ExitStack() as stack:
        (busy,) = connections(server, 1, call, stack)
        first, second, third = connections(server, 3, b"", stack)
        first.send(request("GET", "/livez"))
        assert first.answer().status == 200
        time.sleep(0.1)
        connections(server, 2, b"", stack)
        assert second.is_closed(1)
        assert not third.is_closed(0.1)
        assert not first.is_closed(0.1)
        assert busy.answer().status == 200


@pytest.mark.control("C2")
def test_connections_beyond_the_bound_are_closed(layout: Path, serve: Serve) -> None:
    """Where every connection is busy, a new one finds no room: the probe would tell."""
    server = serve(layout, max_connections="2")
    server.wait_until("/readyz")
    settle(server)
    body = b'{"do": "sleep", "value": 1}'
    call = request("POST", PREDICT, JSON, f"Content-Length: {len(body)}", body=body)
    with ExitStack() as stack:
        connections(server, 2, call, stack)
        time.sleep(0.2)
        with pytest.raises(ConnectionError):
            is_served(server)


def unread(server: Server) -> RawConnection:
    """Ask for a long answer and read nothing of it."""
    connection = RawConnection(server.url)
    connection.take_little()
    body = b'{"do": "long", "value": 6000000}'
    call = request("POST", PREDICT, JSON, f"Content-Length: {len(body)}", body=body)
    connection.send(call)
    return connection


def drip_head(server: Server) -> RawConnection:
    """Send the begin of a head."""
    connection = RawConnection(server.url)
    connection.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-")
    return connection


def drip_body(server: Server) -> RawConnection:
    """Send the begin of a body."""
    connection = RawConnection(server.url)
    connection.send(request("POST", PREDICT, JSON, "Content-Length: 100", body=b'{"do"'))
    return connection


def p99_s(durations: list[float]) -> float:
    """Return within what time 99 of 100 were answered."""
    return sorted(durations)[int(0.99 * len(durations))]


def cut(
    server: Server, begin: Callable[[Server], RawConnection], count: int, before: int
) -> tuple[float, list[float]]:
    """Begin so many slow connections; return when all were cut, and what others took till then.

    `before` is how many sockets the front has open without them.
    """
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(begin(server))
        begun, durations = time.monotonic(), []
        while open_connections(server) < before + count:
            assert time.monotonic() - begun < 1, "they were not all accepted"
        while open_connections(server) > before:
            durations.append(is_served(server))
            assert time.monotonic() - begun < 20, "they are still open"
            time.sleep(0.01)
        return time.monotonic() - begun, durations


@pytest.mark.fault("C1")
@pytest.mark.parametrize("begin", [drip_head, drip_body, unread])
def test_slow_clients_are_cut(
    layout: Path,
    serve: Serve,
    scale: Scale,
    figure: Figure,
    begin: Callable[[Server], RawConnection],
) -> None:
    """Whether a head, a body or the reading of an answer takes for ever: its deadline holds."""
    deadlines = {"header_deadline_s": "2", "body_deadline_s": "2", "write_deadline_s": "2"}
    server = serve(layout, **deadlines)
    server.wait_until("/readyz")
    settle(server)
    count = scale(5, 20) if begin is unread else scale(50, 500)
    before = open_connections(server)
    alone = [is_served(server) for _ in range(100)]
    seconds, beside = cut(server, begin, count, before)
    assert seconds < 2 + scale(4, 2)  # beside other tests all takes longer
    assert p99_s(beside) <= 2 * scale(SLACK, 1) * max(p99_s(alone), SHORT_S)
    figure(
        f"{begin.__name__}: {count} cut {seconds:.1f} s after the last began, deadline 2 s; others "
        f"answered within {p99_s(beside) * 1000:.0f} ms (p99), {p99_s(alone) * 1000:.0f} ms before"
    )


@pytest.mark.control("C1")
@pytest.mark.parametrize("begin", [drip_head, drip_body, unread])
def test_with_long_deadlines_slow_clients_stay(
    layout: Path, serve: Serve, begin: Callable[[Server], RawConnection]
) -> None:
    """It is the deadlines that cut them."""
    server = serve(layout)
    server.wait_until("/readyz")
    settle(server)
    before = open_connections(server)
    with begin(server):
        time.sleep(4)
        assert open_connections(server) > before


def test_a_refused_head_is_logged(shared: Server) -> None:
    """What is refused before anything can answer it has its line too."""
    before = sum(line.get("status") == 431 for line in shared.lines())
    with RawConnection(shared.url) as connection:
        connection.send(request("GET", "/" + "x" * 20_000))
        assert connection.answer().status == 431
    line = shared.await_lines(before + 1, status=431)[-1]
    assert (line["message"], line["method"], line["path"]) == ("request", "", "")

"""The load generator of the benchmark: a figure is only given for right answers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from benchmarks.contenders import CONTENDERS
from benchmarks.errors import WrongAnswer
from benchmarks.load import send_load
from benchmarks.workloads import Known, chosen, requests_of

KNOWN = Known(instances=[[1.0], [2.0], [3.0]], answers=["one", "two", "three"])
NAMES = {1.0: "one", 2.0: "two", 3.0: "three"}

Answer = Callable[[list[list[float]]], tuple[int, list[str]]]


def rightly(rows: list[list[float]]) -> tuple[int, list[str]]:
    """Answer as is known."""
    return 200, [NAMES[value] for (value,) in rows]


def another(rows: list[list[float]]) -> tuple[int, list[str]]:
    """Give every third instance the answer of another."""
    return 200, ["two" if value == KNOWN.instances[2][0] else NAMES[value] for (value,) in rows]


def busy(_rows: list[list[float]]) -> tuple[int, list[str]]:
    """Refuse."""
    return 429, []


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, int]]:
    """Serve on any port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answers = answer(rows)
            body = json.dumps(answers).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield ("127.0.0.1", listening.server_port)
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


@pytest.mark.parametrize("rows", [1, 20])
def test_right_answers_are_counted(rows: int) -> None:
    """Every request is counted once, and its latency is kept."""
    counted = []

    def counting(instances: list[list[float]]) -> tuple[int, list[str]]:
        counted.append(len(instances))
        return rightly(instances)

    exchanges = [CONTENDERS["ceiling"].exchange("any", k) for k in requests_of(rows, KNOWN)]
    with server(counting) as address:
        load = send_load(address, exchanges, connections=3, seconds=0.2)
    assert len(load.latencies_s) == len(counted)
    assert set(counted) == {rows}
    assert load.per_second == len(counted) / load.seconds
    assert load.percentile(0) <= load.percentile(0.5) <= load.percentile(1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (another, "not the known answer: b'[\"two\"]'"),
        (busy, "not an answer with a length: b'HTTP/1.1 429 Too Many Requests"),
    ],
)
def test_a_wrong_answer_gives_no_figures(answer: Answer, said: str) -> None:
    """One wrong answer among right ones is found, and so is a refusal."""
    exchanges = [CONTENDERS["ceiling"].exchange("any", k) for k in requests_of(1, KNOWN)]
    with server(answer) as address, pytest.raises(WrongAnswer) as raised:
        send_load(address, exchanges, connections=2, seconds=0.2)
    assert str(raised.value).startswith(said)


def test_workloads_are_chosen_by_name() -> None:
    """A workload's name means all its connections, a longer name one of them."""
    names = [workload.name for workload in chosen(["W1", "W3/64"])]
    assert names == ["W1/64", "W1/16", "W1/1", "W3/64"]
    with pytest.raises(KeyError):
        chosen(["W9"])

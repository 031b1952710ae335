"""The soak: a server under steady load, with clients that crash and a random fault now and then.

`nox -s soak` runs it for an hour, `nox -s soak -- --minutes 5` for less; it fails if a request
failed that no fault accounts for. `test_soak` runs it for seconds.
"""

import argparse
import os
import random
import signal
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import served_layout
from background import Background
from batched_model import batched
from callers import Callers, Failure, Order, order
from raw_http import RawConnection, request
from served_layout import Model, Server, obedient

from stevedore_api.memory import resident_bytes

__all__ = ["FAULTS", "Fault", "Report", "beyond", "run", "start", "worker_of"]

CALLERS = 4
PAUSE_S = 0.01
CRASH_EVERY_S = 0.1
FAULT_EVERY_S = 60.0
"""More often if the soak is so short that not every fault would come."""
CALL_LIMIT_S = 2
WARM_UP_S = 5.0
"""After so long a front has done everything once; from then on its memory is compared."""
SETTINGS = {
    "call_limit_s": str(CALL_LIMIT_S),
    "deadline_s": "20",
    "header_deadline_s": "2",
    "body_deadline_s": "2",
    "self_test_interval_s": "1",
}
GROUPS = {"plain": {"do": "pid"}, "batched": ["pid"]}
"""The models that are attacked, and what each is sent to tell its worker's process id."""
PREDICT = "/models/plain/predict"
JSON = "Content-Type: application/json"

Fault = Callable[[Server, random.Random], Mapping[str, int]]
"""Brings something about; returns how many failed requests of which model it accounts for.

Raises `AssertionError` if it was not answered as it is due.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What came of a soak."""

    seconds: float
    requests: int
    crashed_clients: int
    faults: Mapping[str, int]
    failures: int
    """Requests that were answered otherwise than due."""
    unasked: Sequence[str]
    """Those, and faults' own answers, that no fault accounts for: there must be none."""
    grown_bytes: int
    """How much more memory the front held in the end than when it was warm."""

    def __str__(self) -> str:
        """Say it in a few lines."""
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        lines = [
            f"{self.requests} requests in {self.seconds:.0f} s",
            f"{self.crashed_clients} clients crashed meanwhile",
            f"faults: {faults}",
            f"failed: {self.failures} requests; not asked for: {len(self.unasked)}",
            f"growth of the front: {self.grown_bytes / (1 << 20):.1f} MiB",
        ]
        return "\n".join([*lines, *self.unasked[:20]])


def start(directory: Path) -> Server:
    """Serve three models, each in a group of its own."""
    models = {
        "plain": Model(source=obedient("plain"), workers=1),
        "batched": Model(source=batched("batched"), workers=2),
        "quiet": Model(source=obedient("quiet")),
    }
    layout = served_layout.write_layout(directory / "layout", "all", models)
    server = served_layout.start_server(layout, directory / "server.log", SETTINGS)
    server.wait_until("/readyz")
    return server


def run(
    server: Server, *, seconds: float, fault_every_s: float, faults: Sequence[Fault], seed: int
) -> Report:
    """Load the server for so long, with a fault drawn every so often, each once at least."""
    dice = random.Random(seed)
    begun = time.monotonic()
    end = begun + seconds
    done: Counter[str] = Counter()
    unasked: list[str] = []
    settled = 0
    with (
        Callers(server.url, CALLERS, draw, pause_s=PAUSE_S) as callers,
        CrashingClients(server.url) as crashing,
    ):
        time.sleep(min(WARM_UP_S, seconds / 4))
        warm = held(server)
        left: list[Fault] = []
        while time.monotonic() < end or len(done) < len(faults):
            left = left or dice.sample(faults, len(faults))  # each comes before any comes again
            fault = left.pop()
            done[fault.__name__] += 1
            asked: Mapping[str, int] = {}
            try:
                asked = fault(server, dice)
            except AssertionError as error:
                unasked.append(f"{fault.__name__}: {error}")
            time.sleep(max(0.0, min(fault_every_s, end - time.monotonic())))
            failures = callers.failures[settled:]
            settled += len(failures)
            unasked += beyond(asked, failures)
    unasked += beyond({}, callers.failures[settled:])
    server.wait_until("/readyz")
    return Report(
        seconds=time.monotonic() - begun,
        requests=callers.sent.total(),
        crashed_clients=crashing.count,
        faults=done,
        failures=len(callers.failures),
        unasked=unasked,
        grown_bytes=held(server) - warm,
    )


def beyond(asked: Mapping[str, int], failures: Sequence[Failure]) -> list[str]:
    """Return those failures that are more than was asked for, in words."""
    left = Counter(asked)
    found = []
    for failure in failures:
        left[failure.model] -= 1
        if left[failure.model] < 0:
            found.append(f"{failure.model}: {failure.status} {failure.text}")
    return found


def draw(dice: random.Random) -> Order:
    """Draw what a caller asks: answers that are due, and refusals that are."""
    value = dice.random()
    words = [f"row {value}" for _ in range(dice.randint(1, 20))]
    return dice.choice(
        (
            order("plain", {"do": "echo", "value": value}, value),
            order("plain", {"do": "raise"}, status=500),
            order("plain", [], status=422),
            order("batched", words, [word.upper() for word in words]),
            order("batched", [*words, "bad"], status=500),
            order("quiet", {"do": "echo", "value": words}, words),
        )
    )


def held(server: Server) -> int:
    """Return how much memory the front holds, in bytes."""
    found = resident_bytes(server.process.pid)
    if found is None:
        raise SystemExit("the front is gone")
    return found


class CrashingClients(Background):
    """Clients that send part of a request and are gone, one after another in a thread."""

    def __init__(self, url: str) -> None:
        self.count = 0
        self._url = urlsplit(url)
        super().__init__([self._run])

    def _run(self) -> None:
        dice = random.Random(1)
        body = b'{"do": "echo", "value": 1}'
        whole = request("POST", PREDICT, JSON, f"Content-Length: {len(body)}", body=body)
        while not self.is_over.wait(CRASH_EVERY_S):
            with socket.socket() as connection:
                connection.connect((self._url.hostname, self._url.port))
                connection.sendall(whole[: dice.randint(0, len(whole))])
                if dice.random() < 0.5:  # a reset instead of a proper end
                    off_at_once = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off_at_once)
            self.count += 1


def worker_of(server: Server, model: str) -> int:
    """Return the process id of a worker of one of the attacked models."""
    url = f"{server.url}/models/{model}/predict"
    answer = httpx.post(url, json=GROUPS[model], timeout=30)
    assert answer.status_code == httpx.codes.OK, answer.text
    found = answer.json()
    return int(found[0] if isinstance(found, list) else found)


def kill_worker(server: Server, dice: random.Random) -> Mapping[str, int]:
    """Kill a worker by a random signal."""
    model = dice.choice(sorted(GROUPS))
    number = dice.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM))
    os.kill(worker_of(server, model), number)
    return {model: 1}


def stop_worker(server: Server, dice: random.Random) -> Mapping[str, int]:
    """Have a worker stand still: what it runs goes over its limit."""
    model = dice.choice(sorted(GROUPS))
    os.kill(worker_of(server, model), signal.SIGSTOP)
    time.sleep(CALL_LIMIT_S + 1)
    return {model: 1}


def hang(server: Server, dice: random.Random) -> Mapping[str, int]:
    """Send a call that hangs, and is told so; nobody else's fails."""
    payload: object = {"do": "sleep", "value": 600}
    model = dice.choice(sorted(GROUPS))
    if model == "batched":
        payload = ["sleep 600"]
    answer = httpx.post(f"{server.url}/models/{model}/predict", json=payload, timeout=30)
    assert answer.status_code == httpx.codes.GATEWAY_TIMEOUT, answer.text
    return {}


def leave(server: Server, dice: random.Random) -> Mapping[str, int]:
    """Send many requests at once and leave before any is answered."""
    body = b'{"do": "echo", "value": 1}'
    sent = request("POST", PREDICT, JSON, f"Content-Length: {len(body)}", body=body)
    with ExitStack() as stack:
        for _ in range(dice.randint(50, 100)):
            stack.enter_context(RawConnection(server.url)).send(sent)
    return {}


def oversize(server: Server, dice: random.Random) -> Mapping[str, int]:
    """Send bodies that are too long: announced, or in chunks without an end."""
    for _ in range(dice.randint(1, 5)):
        with RawConnection(server.url) as connection:
            connection.send(request("POST", PREDICT, JSON, f"Content-Length: {1 << 30}"))
            connection.is_closed(0.2)
        with RawConnection(server.url) as connection, suppress(TimeoutError):
            connection.send(request("POST", PREDICT, JSON, "Transfer-Encoding: chunked"))
            chunk = b"10000\r\n" + b" " * (1 << 16) + b"\r\n"
            for _ in range(200):
                if not connection.send(chunk):
                    break
    return {}


def drip(server: Server, dice: random.Random) -> Mapping[str, int]:
    """Open connections that send part of a head or of a body, and nothing more."""
    parts = (b"POST /models", request("POST", PREDICT, JSON, "Content-Length: 9", body=b"{"))
    with ExitStack() as stack:
        for _ in range(dice.randint(50, 100)):
            connection = stack.enter_context(RawConnection(server.url))
            connection.send(dice.choice(parts))
        time.sleep(3)
    return {}


def babble(server: Server, dice: random.Random) -> Mapping[str, int]:
    """Send what is not HTTP, or JSON that is nested without an end."""
    deep = b"[" * 100_000
    for _ in range(dice.randint(5, 20)):
        with RawConnection(server.url) as connection:
            connection.send(dice.randbytes(1_000) + b"\r\n\r\n")
            connection.is_closed(0.1)
        with RawConnection(server.url) as connection:
            connection.send(
                request("POST", PREDICT, JSON, f"Content-Length: {len(deep)}", body=deep)
            )
            connection.is_closed(0.1)
    return {}


FAULTS: Sequence[Fault] = (kill_worker, stop_worker, hang, leave, oversize, drip, babble)


def main() -> None:
    """Run the soak and print its report; exit with 1 if anything failed that was not asked for."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long it takes")
    parser.add_argument("--seed", type=int, default=0, help="what the dice begin with")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    with tempfile.TemporaryDirectory() as directory:
        server = start(Path(directory))
        try:
            report = run(
                server,
                seconds=seconds,
                fault_every_s=min(FAULT_EVERY_S, seconds / len(FAULTS) / 2),
                faults=FAULTS,
                seed=arguments.seed,
            )
        finally:
            server.clean_up()
    print(report)  # noqa: T201  # its result
    sys.exit(bool(report.unasked))


if __name__ == "__main__":
    main()

"""Callers that send one request after another, and everything that came back otherwise than due.

Load for tests and for the soak: each caller is a thread with a connection of its own.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from background import Background

__all__ = ["Callers", "Failure", "Order", "order"]

_LIMIT_S = 60
_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request for a prediction, and the answer that is due."""

    model: str
    body: bytes
    status: int
    answer: object
    """None if any will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer that was not due; status 0 if there was none."""

    model: str
    status: int
    text: str


def order(model: str, payload: object, answer: object = None, *, status: int = 200) -> Order:
    """Return an order for this payload."""
    return Order(model=model, body=json.dumps(payload).encode(), status=status, answer=answer)


class Callers(Background):
    """So many callers of a server at `url`, from `with` to its end; each has seeded dice."""

    def __init__(
        self,
        url: str,
        count: int,
        draw: Callable[[random.Random], Order],
        *,
        pause_s: float = 0.0,
    ) -> None:
        self.sent: Counter[str] = Counter()
        """How many requests were answered or lost, by model."""
        self.failures: list[Failure] = []
        self._address = urlsplit(url).netloc
        self._draw = draw
        self._pause_s = pause_s
        self._lock = threading.Lock()
        super().__init__(partial(self._run, random.Random(seed)) for seed in range(count))

    def await_sent(self, model: str, more: int, limit_s: float = _LIMIT_S) -> None:
        """Wait until so many more requests for the model are answered."""
        goal = self.sent[model] + more
        give_up = time.monotonic() + limit_s
        while self.sent[model] < goal:
            assert time.monotonic() < give_up, f"`{model}` answers no more"
            time.sleep(0.005)

    def _run(self, dice: random.Random) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=_LIMIT_S)
        while not self.is_over.is_set():
            wanted = self._draw(dice)
            failure = _failure(connection, wanted)
            with self._lock:
                self.sent[wanted.model] += 1
                if failure is not None:
                    self.failures.append(failure)
            if self._pause_s:
                time.sleep(self._pause_s)
        connection.close()


def _failure(connection: http.client.HTTPConnection, wanted: Order) -> Failure | None:
    """Send a request; return what was wrong with its answer, if anything was."""
    try:
        connection.request("POST", f"/models/{wanted.model}/predict", wanted.body, _HEADERS)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return Failure(model=wanted.model, status=0, text=repr(error))
    if answer.status == wanted.status and (
        wanted.answer is None or json.loads(body) == wanted.answer
    ):
        return None
    text = body[:300].decode("utf-8", "replace")
    return Failure(model=wanted.model, status=answer.status, text=text)

"""Calls that go to a worker together, and what becomes of them if the worker does not return."""

import asyncio
import random
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import orjson
import pytest
from batched_model import batched
from callers import Callers, Order, order
from grouped import in_group, loaded
from raw_http import RawConnection, request
from served_layout import MakeLayout, Model, Serve

from stevedore_api.group import WorkerGroup
from stevedore_core.errors import DeadlinePassed, WorkerDied
from stevedore_core.frames import Frame, Kind

pytestmark = pytest.mark.clock

TOGETHER = """
import os, signal, time
from stevedore_core.predictor import Predictor

class Together(Predictor):
    batchable = True

    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        for do in X:
            verb, _, value = do.partition(" ")
            if verb == "die" or (verb == "die-with-others" and len(X) > 1):
                os.kill(os.getpid(), signal.SIGKILL)
            if verb == "sleep" or (verb == "sleep-with-others" and len(X) > 1):
                time.sleep(float(value))
            if verb == "note":
                with open(value, "a") as file:
                    file.write(".")
        return [len(X)] * len(X)

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return 1.0


def load():
    texts = {"type": "array", "items": {"type": "string"}}
    return Together(None, "one", ["a", "b"], texts, ["a"], texts, "1.0.0")
"""
"""A batchable model, whose answer for each instance is how many instances were run together."""


@pytest.fixture
def layout(make_layout: MakeLayout) -> Path:
    """A layout of the batchable model `one`."""
    return make_layout(one=Model(source=TOGETHER))


def ask(group: WorkerGroup, *instances: str) -> asyncio.Future[Frame]:
    """Ask for the predictions for a payload of these instances."""
    return group.submit(Kind.PREDICT, 0, orjson.dumps(instances))


async def ends(*calls: asyncio.Future[Frame]) -> list[object]:
    """Return for each call its prediction or the class of its error."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [
        type(result) if isinstance(result, BaseException) else orjson.loads(result.body)
        for result in results
    ]


def test_what_waits_goes_together(layout: Path) -> None:
    """All that one turn of the event loop brings, envelopes included, and all that waits then."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        envelope = b'{"predictor": "one", "payload": ["a"]}'
        calls = [ask(group, "a"), ask(group, "a", "b")]
        calls.append(group.submit(Kind.PREDICT_ENVELOPE, 0, envelope))
        assert await ends(*calls) == [[4], [4, 4], [4]]
        running = ask(group, "sleep 0.2")
        await asyncio.sleep(0.05)
        waiting = [ask(group, "a") for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting.append(ask(group, "a"))
        assert await ends(running, *waiting) == [[1]] + [[4]] * 4

    in_group(layout, run)


def test_what_comes_in_the_next_turns_goes_along(layout: Path) -> None:
    """While each turn of the event loop brings more, and only for a few turns."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        calls = [ask(group, "a")]
        for _ in range(2):
            await asyncio.sleep(0)
            calls.append(ask(group, "a"))
        assert await ends(*calls) == [[3]] * 3
        calls = []
        for _ in range(20):
            calls.append(ask(group, "a"))
            await asyncio.sleep(0)
        answers = await ends(*calls)
        assert answers[:4] == [[4]] * 4
        assert answers[4] != [4]

    in_group(layout, run)


def test_a_batch_is_bounded(layout: Path) -> None:
    """In requests, and in bytes: a body that is long by itself goes alone."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        calls = [ask(group, "a") for _ in range(8)]
        calls += [ask(group, "long" * 50) for _ in range(2)]
        assert await ends(*calls) == [[3]] * 6 + [[2]] * 2 + [[1]] * 2

    in_group(layout, run, max_batch="3", max_batch_bytes="200")


def test_scores_and_self_tests_go_alone(layout: Path) -> None:
    """Only predictions are run together."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        score = group.submit(Kind.SCORE, 0, b'["a"]')
        calls = [ask(group, "a"), score, group.submit(Kind.SCORE, 0, b'["a"]'), ask(group, "a")]
        self_test = group.submit_own(Kind.SELF_TEST, 0, limit_s=5)
        assert await ends(*calls) == [[1], 1.0, 1.0, [1]]
        assert orjson.loads((await self_test).body) == {"reason": "passed", "detail": ""}

    in_group(layout, run)


def test_a_burst_that_a_worker_takes_at_once_is_not_refused(layout: Path) -> None:
    """What goes to a free worker in the same turn does not count as waiting."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        assert await ends(*(ask(group, "a") for _ in range(4))) == [[2]] * 4

    in_group(layout, run, max_queued="2")


def test_a_worker_that_dies_loses_one_request(layout: Path) -> None:
    """Those that were with it run once more, one by one, ahead of what came later."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        order: list[int] = []

        def note(number: int, _: object) -> None:
            order.append(number)

        calls = [ask(group, do) for do in ("a", "die", "b", "die-with-others", "c")]
        await asyncio.sleep(0.05)
        calls += [ask(group, "later") for _ in range(2)]
        for number, call in enumerate(calls):
            call.add_done_callback(partial(note, number))
        assert await ends(*calls) == [[1], WorkerDied, [1], [1], [1], [2], [2]]
        assert order == list(range(7))

    in_group(layout, run)


def test_a_batch_over_its_limit_is_run_one_by_one(layout: Path) -> None:
    """The limit is that of one call; who overruns it alone as well is told."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        calls = [ask(group, do) for do in ("a", "sleep-with-others 30", "b")]
        assert await ends(*calls) == [[1]] * 3
        calls = [ask(group, do) for do in ("a", "sleep 30", "b")]
        assert await ends(*calls) == [[1], DeadlinePassed, [1]]

    in_group(layout, run, call_limit_s="0.5")


def test_no_request_runs_again_after_its_deadline(layout: Path, tmp_path: Path) -> None:
    """Nor one whose caller left meanwhile."""
    first, second = tmp_path / "first", tmp_path / "second"

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        late = [ask(group, f"note {first}"), ask(group, "sleep 30")]
        assert await ends(*late) == [DeadlinePassed] * 2
        assert await ends(ask(group, "a")) == [[1]]
        left = [ask(group, f"note {second}"), ask(group, "sleep 0.2", "die")]
        await asyncio.sleep(0.1)
        left[0].cancel()
        assert await ends(left[1]) == [WorkerDied]

    in_group(layout, run, call_limit_s="3", deadline_s="2")
    assert (first.read_text(), second.read_text()) == (".", ".")


def test_a_bad_row_under_load_fails_its_own_request_only(
    make_layout: MakeLayout, serve: Serve
) -> None:
    """Whoever is run together with it is answered right, and so is who sends nonsense."""
    server = serve(make_layout(one=Model(source=batched("one"))))
    server.wait_until("/readyz")
    with Callers(server.url, 12, mixed) as callers:
        callers.await_sent("one", 400)
    assert callers.failures == []
    assert mean_batch(server.get("/metrics").text) > 1


def mixed(dice: random.Random) -> Order:
    """Draw a request: most are good, some hold a bad row or break the schema."""
    names = [f"row {dice.random()}" for _ in range(dice.randint(1, 3))]
    kind = dice.random()
    if kind < 0.1:
        return order("one", [*names, "bad"], status=500)
    if kind < 0.2:
        return order("one", [*names, 1], status=422)
    return order("one", names, [name.upper() for name in names])


def mean_batch(metrics: str) -> float:
    """Return how many requests went to a worker together, on average."""
    found = {
        line.split("{")[0]: float(line.split()[-1])
        for line in metrics.splitlines()
        if line.startswith(("stevedore_batch_size_sum{", "stevedore_batch_size_count{"))
    }
    return found["stevedore_batch_size_sum"] / found["stevedore_batch_size_count"]


def test_a_row_that_spoils_others_is_noticed(make_layout: MakeLayout, serve: Serve) -> None:
    """A model that fails once more after each bad row fails those who did nothing: it is seen."""
    spoilt = """
class Spoilt(Batched):
    owed = 0

    def run_one(self, do):
        if do == "bad":
            self.owed = 1
            raise ValueError("a bad row")
        if self.owed:
            self.owed = 0
            raise ValueError("spoilt")
        return super().run_one(do)


Batched = Spoilt
"""
    before, load, after = batched("one").partition("\ndef load()")
    server = serve(make_layout(one=Model(source=before + spoilt + load + after)))
    server.wait_until("/readyz")
    with Callers(server.url, 4, mixed) as callers:
        callers.await_sent("one", 600)
    assert {(failure.model, failure.status) for failure in callers.failures} == {("one", 500)}


def test_requests_whose_clients_left_are_not_run(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path
) -> None:
    """Of a hundred that wait while a worker is busy, those ten are run whose clients stay."""
    server = serve(make_layout(one=Model(source=batched("one"))))
    server.wait_until("/readyz")
    note = tmp_path / "note"
    body = orjson.dumps([f"note {note}"])
    with ExitStack() as stack:
        busy = stack.enter_context(RawConnection(server.url))
        busy.send(posted(orjson.dumps(["sleep 1.5"])))
        time.sleep(0.2)
        waiting = [stack.enter_context(RawConnection(server.url)) for _ in range(100)]
        for connection in waiting:
            connection.send(posted(body))
        for connection in waiting[10:]:
            connection.__exit__(None, None, None)
        assert [connection.answer().status for connection in (busy, *waiting[:10])] == [200] * 11
    assert server.post("/models/one/predict", ["a"]).json() == ["A"]
    assert note.read_text() == "." * 10


def posted(body: bytes) -> bytes:
    """Return a request for a prediction as bytes."""
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return request("POST", "/models/one/predict", *headers, body=body)

"""Worker groups: what waits, what is run, and what happens to workers that die."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from grouped import in_group, loaded
from raw_http import RawConnection, request
from served_layout import Json, MakeLayout, Model, Serve, Server, is_running, obedient

from stevedore_api.group import WorkerGroup
from stevedore_core.errors import DeadlinePassed, ModelNotReady, QueueFull, WorkerDied
from stevedore_core.frames import Frame, Kind
from stevedore_core.layout import Layout

pytestmark = pytest.mark.clock

PREDICT = "/models/one/predict"


def later(server: Server, path: str, payload: Json) -> "Future[httpx.Response]":
    """Send a POST from a thread of its own."""
    return ThreadPoolExecutor(1).submit(server.post, path, payload)


@pytest.fixture
def layout(make_layout: MakeLayout) -> Path:
    """A layout of the model `one`."""
    return make_layout(one=Model(source=obedient("one")))


def test_a_full_queue_is_429(make_layout: MakeLayout, serve: Serve) -> None:
    """Beyond the bound a caller is sent away at once and told when to come again."""
    layout = make_layout(one=Model(source=obedient("one")), two=Model(source=obedient("two")))
    server = serve(layout, max_queued="2", max_queued_bytes="1000")
    server.wait_until("/readyz")
    running = later(server, PREDICT, {"do": "sleep", "value": 1.5})
    time.sleep(0.2)
    waiting = [later(server, PREDICT, {"do": "echo", "value": n}) for n in range(2)]
    time.sleep(0.2)
    begun = time.monotonic()
    refused = server.post(PREDICT, {"do": "echo"})
    large = server.post("/models/two/predict", {"do": "echo", "value": "x" * 950})
    other = later(server, "/models/two/predict", {"do": "echo", "value": 3})
    assert server.get("/livez").status_code == 200
    assert time.monotonic() - begun < 0.6
    for answer in (refused, large):
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["type"] == "urn:ml-py-stevedore:problem:queue-full"
    assert refused.json()["detail"] == "2 requests wait for the model already"
    assert large.json()["detail"].startswith("the requests that wait hold ")
    assert running.result().json() == 1.5
    assert [answer.result().json() for answer in waiting] == [0, 1]
    assert other.result().json() == 3


def test_a_call_whose_deadline_passed_in_the_queue_never_runs(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path
) -> None:
    """Nobody waits for it any more, so the model is spared."""
    layout = make_layout(one=Model(source=obedient("one")))
    server = serve(layout, deadline_s="0.5")
    server.wait_until("/readyz")
    running = later(server, PREDICT, {"do": "sleep", "value": 1.2})
    time.sleep(0.2)
    note = tmp_path / "note"
    begun = time.monotonic()
    late = server.post(PREDICT, {"do": "note", "value": str(note)})
    assert 0.4 < time.monotonic() - begun < 1.5
    assert late.status_code == running.result().status_code == 504
    assert late.json()["detail"] == "no answer came within the deadline"
    time.sleep(0.8)
    assert server.post(PREDICT, {"do": "echo", "value": 1}).json() == 1
    assert not note.exists()
    assert server.post(PREDICT, {"do": "note", "value": str(note)}).status_code == 200
    assert note.exists()


def status_of(server: Server, request_id: str, limit_s: float) -> object:
    """Return the status in the log line of a request, which must come in time."""
    return server.await_lines(1, limit_s, request_id=request_id)[0]["status"]


def test_a_call_whose_client_left_the_queue_never_runs(
    layout: Path, serve: Serve, tmp_path: Path
) -> None:
    """Its place is free at once, not only when its turn would have come."""
    server = serve(layout, max_queued="1")
    server.wait_until("/readyz")
    running = later(server, PREDICT, {"do": "sleep", "value": 1.5})
    time.sleep(0.2)
    note = tmp_path / "note"
    order = b'{"do": "note", "value": "%s"}' % str(note).encode()
    # Of more than 64 KiB, for then the server stops reading and must begin again to notice.
    for body in (order, order + b" " * (1 << 17)):
        name = f"left-{len(body)}"
        headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        with RawConnection(server.url) as connection:
            connection.send(request("POST", PREDICT, *headers, f"X-Request-Id: {name}", body=body))
            time.sleep(0.2)
            assert server.post(PREDICT, {"do": "echo"}).status_code == 429
        assert status_of(server, name, 0.3) == 499
    assert not running.done()
    assert server.post(PREDICT, {"do": "echo", "value": 1}).json() == 1
    assert running.result().json() == 1.5
    assert not note.exists()


def test_a_client_may_leave_when_its_call_runs_at_last(layout: Path, serve: Serve) -> None:
    """A call that waited and then runs is left to end; the worker stays."""
    server = serve(layout)
    server.wait_until("/readyz")
    before = server.post(PREDICT, {"do": "pid"}).json()
    later(server, PREDICT, {"do": "sleep", "value": 0.4})
    time.sleep(0.1)
    body = b'{"do": "sleep", "value": 0.6}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with RawConnection(server.url) as connection:
        connection.send(request("POST", PREDICT, *headers, "X-Request-Id: left", body=body))
        time.sleep(0.5)
    assert status_of(server, "left", 0.3) == 499
    assert server.post(PREDICT, {"do": "pid"}).json() == before


def test_a_call_whose_deadline_passed_is_let_go(layout: Path) -> None:
    """Its body is not kept for as long as the worker is busy, and its place is free."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        running = group.submit(Kind.PREDICT, 0, b'{"do": "sleep", "value": 1}')
        late = group.submit(Kind.PREDICT, 0, b'{"do": "echo"}')
        with pytest.raises(QueueFull):
            group.submit(Kind.PREDICT, 0, b'{"do": "echo"}')
        for call in (running, late):
            with pytest.raises(DeadlinePassed):
                await call
        assert not group._queue.take()  # noqa: SLF001  # what it holds, it keeps in memory
        again = group.submit(Kind.PREDICT, 0, b'{"do": "echo"}')
        with pytest.raises(DeadlinePassed):
            await again

    in_group(layout, run, max_queued="1", deadline_s="0.2")


def test_our_own_calls_have_their_places_and_are_not_counted(layout: Path) -> None:
    """Self-tests overtake what waits, in their order; a score does not; no full queue matters."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        order: list[str] = []

        def note(name: str, _: object) -> None:
            order.append(name)

        calls = {
            "running": group.submit(Kind.PREDICT, 0, b'{"do": "sleep", "value": 0.3}'),
            "waiting": group.submit(Kind.PREDICT, 0, b'{"do": "echo"}'),
            "score": group.submit_own(Kind.SCORE_EXAMPLES, 0, limit_s=5),
            "self-test": group.submit_own(Kind.SELF_TEST, 0, limit_s=5),
            "next self-test": group.submit_own(Kind.SELF_TEST, 0, limit_s=5),
        }
        for name, call in calls.items():
            call.add_done_callback(partial(note, name))
        await asyncio.gather(*calls.values())
        await asyncio.sleep(0)
        assert order == ["running", "self-test", "next self-test", "waiting", "score"]

    in_group(layout, run, max_queued="1")


@pytest.mark.parametrize("deed", ["os._exit(3)", "time.sleep(600)"])
def test_callers_are_served_between_self_tests_that_end_the_worker(
    make_layout: MakeLayout, deed: str
) -> None:
    """Whatever waits for the next worker has a turn before the next self-test."""
    deadly = f"""
class Deadly(Obedient):
    def run_predict(self, X):
        return {deed} if X == EXAMPLE else super().run_predict(X)

Obedient = Deadly
"""
    before, load, after = obedient("one").partition("\ndef load()")

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        ended = (WorkerDied, DeadlinePassed)
        for _ in range(2):
            first, second = (group.submit_own(Kind.SELF_TEST, 0, limit_s=0.3) for _ in range(2))
            waiting = group.submit(Kind.PREDICT, 0, b'{"do": "echo", "value": 1}')
            with pytest.raises(ended):
                await first
            assert (await waiting).body == b"1"
            assert not second.done()
            with pytest.raises(ended):
                await second

    in_group(make_layout(one=Model(source=before + deadly + load + after)), run)


def test_a_call_that_nobody_awaits_any_more_is_not_run(layout: Path, tmp_path: Path) -> None:
    """A cancelled call that waited is skipped, one that runs keeps its worker until it ends."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        running = group.submit(Kind.PREDICT, 0, b'{"do": "sleep", "value": 0.3}')
        note = b'{"do": "note", "value": "%s"}' % str(tmp_path / "note").encode()
        waiting = group.submit(Kind.PREDICT, 0, note)
        self_test = group.submit_own(Kind.SELF_TEST, 0, limit_s=5)
        for call in (running, waiting, self_test):
            call.cancel()
        answer = await group.submit(Kind.PREDICT, 0, b'{"do": "echo", "value": 1}')
        assert answer == Frame(0, Kind.ANSWER, 0, b"1")
        assert not (tmp_path / "note").exists()

    in_group(layout, run)


def test_a_worker_that_dies_or_overruns_after_its_caller_left(layout: Path) -> None:
    """Without a caller to tell, the worker is replaced all the same."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        for body in (b'{"do": "signal", "value": 9}', b'{"do": "sleep", "value": 30}'):
            group.submit(Kind.PREDICT, 0, body).cancel()
            answer = await group.submit(Kind.PREDICT, 0, b'{"do": "echo", "value": 1}')
            assert answer.body == b"1"

    in_group(layout, run, call_limit_s="0.5")


def test_a_call_over_its_limit_is_told_when_its_deadline_is_later(layout: Path) -> None:
    """Whichever clock runs out first tells the caller; a death says that it was one."""

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        with pytest.raises(DeadlinePassed) as overran:
            await group.submit(Kind.PREDICT, 0, b'{"do": "sleep", "value": 30}')
        assert str(overran.value) == "the model ran over its limit"
        with pytest.raises(WorkerDied) as died:
            await group.submit(Kind.PREDICT, 0, b'{"do": "signal", "value": 11}')
        assert str(died.value) == "the worker died while it ran the model"

    in_group(layout, run, call_limit_s="0.5")


def test_a_group_that_never_loaded(layout: Path) -> None:
    """Before the first worker has the model, calls are refused at once."""

    async def run(group: WorkerGroup) -> None:
        with pytest.raises(ModelNotReady) as caught:
            group.submit(Kind.PREDICT, 0, b"1")
        assert str(caught.value) == "model `one` is not loaded"
        await loaded(group)

    in_group(layout, run)


LOADS_ONCE = """
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

def load_if_first():
    mark = Path(MARK)
    if mark.exists():
        raise RuntimeError("only once")
    mark.touch()
    return first_load()

first_load, load = load, load_if_first
"""


def test_a_replacement_that_cannot_load_the_model(make_layout: MakeLayout, tmp_path: Path) -> None:
    """The model counts as gone at once; nothing is sent to a worker that lacks it."""
    source = obedient("one") + LOADS_ONCE.replace("MARK", repr(str(tmp_path / "mark")))

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        with pytest.raises(WorkerDied):
            await group.submit(Kind.PREDICT, 0, b'{"do": "signal", "value": 9}')
        assert group.is_loaded(0)  # within the grace for its replacement
        begun = time.monotonic()
        while group.load_failure(0) is None:
            assert time.monotonic() - begun < 20
            await asyncio.sleep(0.01)
        assert group.load_failure(0) == "model-broken"
        with pytest.raises(ModelNotReady):
            group.submit(Kind.PREDICT, 0, b'{"do": "echo"}')

    in_group(make_layout(one=Model(source=source)), run)


def test_a_worker_without_the_model_is_given_nothing(
    make_layout: MakeLayout, tmp_path: Path
) -> None:
    """Beside a worker that has the model, one that could not load it must not refuse its calls."""
    source = obedient("one") + LOADS_ONCE.replace("MARK", repr(str(tmp_path / "mark")))

    async def run(group: WorkerGroup) -> None:
        begun = time.monotonic()
        while not (group.is_loaded(0) and group.load_failure(0)):
            assert time.monotonic() - begun < 20
            await asyncio.sleep(0.01)
        calls = [group.submit(Kind.PREDICT, 0, b'{"do": "echo", "value": 1}') for _ in range(8)]
        assert {frame.body for frame in await asyncio.gather(*calls)} == {b"1"}

    in_group(make_layout(one=Model(source=source)), run, workers=2)


def test_a_child_of_a_dead_worker_does_not_hide_its_death(make_layout: MakeLayout) -> None:
    """What a model forked lives on with all that its worker had open, except for the socket."""
    forking = """
class Forking(Obedient):
    def run_predict(self, X):
        if X["do"] != "fork":
            return super().run_predict(X)
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        os._exit(3)

Obedient = Forking
"""
    before, load, after = obedient("one").partition("\ndef load()")

    async def run(group: WorkerGroup) -> None:
        await loaded(group)
        begun = time.monotonic()
        with pytest.raises(WorkerDied):
            await group.submit(Kind.PREDICT, 0, b'{"do": "fork"}')
        assert time.monotonic() - begun < 3

    in_group(make_layout(one=Model(source=before + forking + load + after)), run, call_limit_s="5")


def test_a_worker_that_cannot_be_started_is_tried_again(
    layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operating system that has no process left may have one later."""
    python, later = sys.executable, tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(later))

    async def run(group: WorkerGroup) -> None:
        await asyncio.sleep(0.3)
        assert not group.is_loaded(0)
        later.symlink_to(python)
        await loaded(group)

    in_group(layout, run)


def test_a_worker_that_does_not_load_in_time_is_replaced(make_layout: MakeLayout) -> None:
    """Loading has a limit of its own, and each try counts from its begin."""
    source = "import time\ntime.sleep(30)\n" + obedient("one")
    layout = make_layout(one=Model(source=source))

    async def run(group: WorkerGroup) -> None:
        pids: set[int | None] = set()
        begun = time.monotonic()
        while len(pids) < 3:
            assert time.monotonic() - begun < 10
            pids |= {slot.pid for slot in group.slots if slot.pid}
            await asyncio.sleep(0.01)
        assert time.monotonic() - begun > 0.4

    in_group(layout, run, load_limit_s="0.2")


def test_a_spare_worker_gets_nothing(make_layout: MakeLayout) -> None:
    """However many calls wait, only so many run at once as there are workers beside spare ones."""
    layout = make_layout(one=Model(source=obedient("one")))

    async def run(group: WorkerGroup) -> None:
        for _ in range(1_000):
            if all(slot.loaded for slot in group.slots):
                break
            await asyncio.sleep(0.01)
        frames = await asyncio.gather(
            *(group.submit(Kind.PREDICT, 0, b'{"do":"pid"}') for _ in range(20))
        )
        assert len({frame.body for frame in frames}) == 1

    in_group(layout, run, spare_workers="1")


COUNTING = """
import os
with open(COUNT, "a") as file:
    file.write(".")
os._exit(3)
"""


def test_a_crash_loop_backs_off_and_harms_no_other_group(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path
) -> None:
    """A worker that dies at every start is started ever more seldom; its neighbours answer."""
    count = tmp_path / "count"
    count.touch()
    source = COUNTING.replace("COUNT", repr(str(count)))
    layout = make_layout(
        "any", bad=Model(source=source, workers=1), good=Model(source=obedient("good"))
    )
    server = serve(layout)
    server.wait_until("/readyz")
    before = server.post("/models/good/predict", {"do": "pid"}).json()
    begun = len(count.read_text())
    time.sleep(2)
    starts = len(count.read_text())
    assert 1 <= starts - begun <= 6
    assert starts >= 3
    assert server.post("/models/good/predict", {"do": "pid"}).json() == before
    assert server.get("/readyz?verbose").json()["bad"] == {"ready": False, "reason": "loading"}
    assert server.post("/models/bad/predict", 1).status_code == 503


def test_several_workers_work_at_once(shared: Server) -> None:
    """A model with two workers runs two calls at a time, in two processes."""
    slow = later(shared, "/models/own/predict", {"do": "sleep", "value": 1})
    time.sleep(0.1)
    begun = time.monotonic()
    assert shared.post("/models/own/predict", {"do": "echo", "value": 1}).json() == 1
    assert time.monotonic() - begun < 0.6
    assert not slow.done()
    slow.result()


def test_models_of_one_group_share_a_worker(shared: Server) -> None:
    """Without workers of their own, models of one environment live in one process."""
    pids = {
        name: shared.post(f"/models/{name}/predict", {"do": "pid"}).json()
        for name in ("one", "two", "own")
    }
    assert pids["one"] == pids["two"] != pids["own"]


def test_the_environment_of_a_worker_is_listed(shared: Server) -> None:
    """A worker gets what it needs and nothing else that the front knows."""
    environ = shared.post(PREDICT, {"do": "environ"}).json()
    passed_on = {"PATH"}  # all that the shared server itself has
    threads = {f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
    no_reports = {"DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY"}
    python = {"PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8"}
    of_the_platform = {"LC_CTYPE"}
    assert set(environ) - of_the_platform == {
        *passed_on,
        *no_reports,
        *threads,
        "VECLIB_MAXIMUM_THREADS",
        *python,
    }
    assert {environ[name] for name in threads} == {"1"}


def test_the_import_path_of_a_worker_is_its_own(make_layout: MakeLayout, serve: Serve) -> None:
    """First its models, then core, then its environment; neither api nor another's is on it."""
    root = make_layout(
        one=Model(source=obedient("one")),
        two=Model(source=obedient("two")),
        own=Model(source=obedient("own"), environment="other"),
    )
    layout = Layout(root=root)
    server = serve(root)
    server.wait_until("/readyz")
    bare = subprocess.run(
        [sys.executable, "-S", "-c", "import sys; print(*sys.path, sep='\\n')"],
        env={"PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name, expected in (
        ("one", [layout.model(n, "1.0.0") for n in ("one", "two")] + [layout.own("core")]),
        ("own", [layout.model("own", "1.0.0"), layout.own("core")]),
    ):
        environment = layout.environment("other" if name == "own" else "default")
        path = server.post(f"/models/{name}/predict", {"do": "path"}).json()
        assert path == [*map(str, [*expected, environment]), *bare]


@pytest.mark.parametrize("number", [15, 2, 9])
def test_no_worker_outlives_the_front(make_layout: MakeLayout, serve: Serve, number: int) -> None:
    """However the front ends, its workers end; stopped in order, so do the workers' children."""
    layout = make_layout(
        one=Model(source=obedient("one")), own=Model(source=obedient("own"), workers=2)
    )
    server = serve(layout)
    server.wait_until("/readyz")
    names = ("one", "own", "own")
    pids = {server.post(f"/models/{name}/predict", {"do": "pid"}).json() for name in names}
    child = server.post(PREDICT, {"do": "child"}).json()
    assert all(is_running(pid) for pid in (*pids, child))
    later(server, PREDICT, {"do": "sleep", "value": 0.2})
    time.sleep(0.1)
    server.process.send_signal(number)
    assert server.process.wait(30) == (-9 if number == 9 else 0)
    begun = time.monotonic()
    gone = pids if number == 9 else {*pids, child}
    while any(is_running(pid) for pid in gone):
        assert time.monotonic() - begun < 3
        time.sleep(0.01)
    if number == 9:
        os.kill(child, 9)


def test_calls_that_were_accepted_are_answered_when_stopping(
    make_layout: MakeLayout, serve: Serve
) -> None:
    """A front that is told to stop finishes what it began."""
    server = serve(make_layout(one=Model(source=obedient("one"))))
    server.wait_until("/readyz")
    running = later(server, PREDICT, {"do": "sleep", "value": 1})
    time.sleep(0.2)
    assert server.stop() == 0
    assert (running.result().status_code, running.result().json()) == (200, 1)


def test_a_call_that_waits_when_stopping_is_not_taken_for_one_whose_client_left(
    layout: Path, serve: Serve
) -> None:
    """When the time to finish is up, what still waits is ended by the server, not by its client."""
    server = serve(layout, drain_s="1")
    server.wait_until("/readyz")
    for value in (20, 0):
        later(server, PREDICT, {"do": "sleep", "value": value})
        time.sleep(0.2)
    assert server.stop() == 0
    assert 499 not in [line.get("status") for line in server.lines()]


def test_what_a_worker_is_told_to_do_it_does_for_the_right_model(shared: Server) -> None:
    """Many callers at once get their own answers."""
    names = ("one", "two", "own")
    asked = [(name, n) for n in range(50) for name in names]
    with ThreadPoolExecutor(8) as pool:
        answers: Mapping[tuple[str, int], httpx.Response] = dict(
            zip(
                asked,
                pool.map(
                    lambda call: shared.post(
                        f"/models/{call[0]}/predict", {"do": "echo", "value": call}
                    ),
                    asked,
                ),
                strict=True,
            )
        )
    assert all(answer.json() == list(call) for call, answer in answers.items())

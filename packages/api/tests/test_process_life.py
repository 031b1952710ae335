"""Faults in the life of a front: how it starts, what it leaves behind, what clocks and logs do."""

import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest
import served_layout
from raw_http import RawConnection, request
from served_layout import MakeLayout, Model, Serve, Server, is_running, obedient

Scale = Callable[[int, int], int]
Figure = Callable[[str], None]

PREDICT = "/models/one/predict"
OK = 200


@pytest.fixture
def layout(make_layout: MakeLayout) -> Path:
    """A layout of the model `one`."""
    return make_layout(one=Model(source=obedient("one")))


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def front(
    layout: Path, *, code: str = "", stdout: int | IO[bytes], environ: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """Run a front, after some code of a test, and a client for it; kill it in the end."""
    port = free_port()
    run = "import runpy; runpy.run_module('stevedore_api', run_name='__main__')"
    settings = served_layout.front_environ(layout, {"port": str(port)})
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", f"import sys; sys.argv = ['x']\n{code}\n{run}"],
        env={**settings, **environ},
        stdout=stdout,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield process, client
    finally:
        process.kill()
        process.wait()


def wait_until_ready(client: httpx.Client, limit_s: float = 30) -> None:
    """Wait until the front is there and ready."""
    begun = time.monotonic()
    while True:
        try:
            if client.get("/readyz").status_code == OK:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() - begun < limit_s
        time.sleep(0.05)


def leftovers(layout: Path, places: Path, rounds: int) -> list[Path]:
    """Kill a ready front so often; return what was left where it might write."""
    for place in ("tmp", "home"):
        (places / place).mkdir(parents=True)
    environ = {"TMPDIR": str(places / "tmp"), "HOME": str(places / "home")}
    shared = Path("/dev/shm")  # noqa: S108  # where the system has what processes share
    before = {*layout.rglob("*"), *shared.iterdir()}
    for _ in range(rounds):
        with front(layout, stdout=subprocess.DEVNULL, environ=environ) as (process, client):
            wait_until_ready(client)
            assert client.post(PREDICT, json={"do": "echo", "value": 1}).json() == 1
            process.kill()
            process.wait()
    return [*places.glob("*/*"), *{*layout.rglob("*"), *shared.iterdir()} - before]


@pytest.mark.fault("B4")
def test_a_killed_front_leaves_nothing(
    layout: Path, tmp_path: Path, scale: Scale, figure: Figure
) -> None:
    """Whoever starts it again finds the place as it was, and it works."""
    rounds = scale(2, 100)
    assert leftovers(layout, tmp_path / "places", rounds) == []
    figure(f"{rounds} of {rounds} starts after SIGKILL ready, 0 files left")


@pytest.mark.control("B4")
def test_what_a_model_leaves_is_seen(make_layout: MakeLayout, tmp_path: Path) -> None:
    """A model that leaves a file of its own, and memory that it shares, is noticed."""
    writing = """
import tempfile
from multiprocessing import resource_tracker, shared_memory
tempfile.mkstemp()
resource_tracker.register = lambda *_: None
KEPT = shared_memory.SharedMemory(create=True, size=1)
"""
    layout = make_layout(one=Model(source=writing + obedient("one")))
    found = leftovers(layout, tmp_path / "places", 1)
    try:
        assert sorted(path.parts[1] for path in found) == sorted(["dev", tmp_path.parts[1]])
    finally:
        for path in found:
            path.unlink()


def kill_front(server: Server) -> tuple[list[int], int]:
    """Kill a front whose worker is busy; return its workers, and the child of a model."""
    pids = [server.post(f"/models/{name}/predict", {"do": "pid"}).json() for name in ("one", "own")]
    child = server.post("/models/own/predict", {"do": "child"}).json()
    body = b'{"do": "sleep", "value": 600}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with RawConnection(server.url) as connection:
        connection.send(request("POST", PREDICT, *headers, body=body))
        time.sleep(0.2)
        server.process.kill()
        server.process.wait()
    return pids, child


@pytest.fixture
def killed(make_layout: MakeLayout, serve: Serve) -> Iterator[tuple[list[int], int]]:
    """The workers of a front that was killed, and a process that a model had started."""
    layout = make_layout(
        one=Model(source=obedient("one")), own=Model(source=obedient("own"), workers=1)
    )
    server = serve(layout, call_limit_s="600", deadline_s="600")
    server.wait_until("/readyz")
    pids, child = kill_front(server)
    yield pids, child
    os.kill(child, signal.SIGKILL)


@pytest.mark.clock
@pytest.mark.fault("B5")
def test_workers_without_front(killed: tuple[list[int], int], figure: Figure) -> None:
    """They end by themselves, even in the midst of a call."""
    begun = time.monotonic()
    while any(is_running(pid) for pid in killed[0]):
        assert time.monotonic() - begun < 2
        time.sleep(0.01)
    figure(f"0 of {len(killed[0])} workers left {time.monotonic() - begun:.2f} s after")


@pytest.mark.control("B5")
def test_a_process_that_is_no_worker_is_left(killed: tuple[list[int], int]) -> None:
    """What a model started itself has no such promise: the same look finds it running."""
    time.sleep(0.5)
    assert is_running(killed[1])


def refused(layout: Path, **settings: str) -> tuple[int, list[str], float]:
    """Run a front that should not start; return exit status, what it said, and the seconds."""
    begun = time.monotonic()
    finished = subprocess.run(
        [sys.executable, "-S", "-m", "stevedore_api"],
        env=served_layout.front_environ(layout, settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert finished.stdout == ""
    return finished.returncode, finished.stderr.splitlines(), time.monotonic() - begun


@pytest.mark.fault("B7")
def test_an_address_that_cannot_be_had(layout: Path, scale: Scale, figure: Figure) -> None:
    """A port that is taken and an address of another machine are told in one line, at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for host, why in (("127.0.0.1", "Address already in use"), ("192.0.2.1", "Cannot assign")):
            status, (line,), seconds = refused(layout, host=host, port=port)
            assert status == 2
            assert line.startswith(f"cannot listen on {host}:{port}: {why}")
            assert seconds < scale(10, 2)
    figure(f"one line and status 2 within {seconds:.1f} s")


@pytest.mark.control("B7")
def test_an_address_that_can_be_had(layout: Path) -> None:
    """Where the port is free, the same front does not end."""
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-S", "-m", "stevedore_api"],
            env=served_layout.front_environ(layout, {"host": "127.0.0.1"}),
            stdout=subprocess.DEVNULL,
            timeout=4,
            check=False,
        )


@pytest.mark.clock
@pytest.mark.fault("B8")
def test_a_slow_start(make_layout: MakeLayout, serve: Serve, scale: Scale, figure: Figure) -> None:
    """While a model loads, the front lives and says when to come again; then it is ready."""
    load_s = scale(3, 30)
    layout = make_layout(one=Model(source=f"import time\ntime.sleep({load_s})\n" + obedient("one")))
    begun = time.monotonic()
    server = serve(layout)
    live_s = time.monotonic() - begun
    for answer in (server.get("/readyz"), server.post(PREDICT, {"do": "echo"})):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    server.wait_until("/readyz", limit_s=load_s + 20)
    assert server.post(PREDICT, {"do": "echo", "value": 1}).json() == 1
    assert live_s < scale(3, 2)
    figure(f"live {live_s:.1f} s after its start, ready once the {load_s} s of loading were over")


@pytest.mark.control("B8")
def test_a_start_that_is_too_slow(make_layout: MakeLayout, serve: Serve) -> None:
    """A model that loads for longer than it may is never ready."""
    layout = make_layout(one=Model(source="import time\ntime.sleep(2)\n" + obedient("one")))
    server = serve(layout, load_limit_s="1")
    time.sleep(4)
    assert server.get("/readyz").status_code == 503


BAD = {
    "port": ("65536", "-1", "http"),
    "max_body_bytes": ("0", "1e6", "8MiB"),
    "max_queued": ("0", "-1", ""),
    "max_connections": ("0", "many", "1.5"),
    "deadline_s": ("0", "nan", "inf"),
    "call_limit_s": ("-1", "30s", ""),
    "drain_s": ("0", "1.5", "never"),
    "drain_delay_s": ("-1", "inf", "-"),
    "workers": ("0", "Auto", "-2"),
    "max_batch": ("0", "65537", "all"),
}
"""Three bad values for each of ten settings."""


@pytest.mark.fault("B9")
def test_settings_that_make_no_sense(layout: Path, scale: Scale, figure: Figure) -> None:
    """A front refuses to start and tells all that is wrong at once, unknown settings included."""
    rounds = scale(2, 30)
    for number in range(rounds):
        wrong = {name: values[number % 3] for name, values in BAD.items()}
        status, lines, _ = refused(layout, **wrong, **{f"unknown_{number}": "1"})
        assert status == 2
        said = {line.split("`")[1] for line in lines}
        assert said == {f"STEVEDORE_{name.upper()}" for name in (*wrong, f"unknown_{number}")}
    figure(f"{rounds} of {rounds} refused with status 2, {len(BAD) + 1} errors listed in each")


@pytest.mark.control("B9")
def test_settings_that_make_sense(layout: Path, serve: Serve) -> None:
    """With good values for the same settings it starts."""
    good = {name: "2" for name in BAD if name != "port"}
    assert serve(layout, **good).get("/livez").status_code == OK


JUMPS_S = (0, 3_600, -3_600, 315_360_000, -315_360_000)
"""An hour and ten years, to and fro."""
FAKETIME = "usr/lib/*/faketime/libfaketimeMT.so.1"


@contextmanager
def jumping(told: Path, *, with_monotonic: bool) -> Iterator[dict[str, str]]:
    """Return the variables of a process whose clock jumps several times a second, until the end."""
    library = next(Path("/").glob(FAKETIME), None)
    if library is None:
        pytest.skip("it takes libfaketime")
    is_over = threading.Event()

    def jump() -> None:
        for jump_s in itertools.cycle(JUMPS_S):
            told.with_suffix(".new").write_text(f"{jump_s:+}")
            told.with_suffix(".new").replace(told)
            if is_over.wait(0.13):  # out of step with what the front does each second
                return

    told.write_text("+0")
    thread = threading.Thread(target=jump)
    thread.start()
    try:
        yield {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(told),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": str(int(not with_monotonic)),
        }
    finally:
        is_over.set()
        thread.join()


def disturbed(layout: Path, told: Path, seconds: float, *, with_monotonic: bool) -> list[str]:
    """Call a front whose clock jumps; return what went wrong."""
    wrong: list[str] = []
    dates: set[str] = set()
    settings = {"STEVEDORE_SELF_TEST_INTERVAL_S": "0.2", "STEVEDORE_DEADLINE_S": "5"}
    with (
        jumping(told, with_monotonic=with_monotonic) as environ,
        front(layout, stdout=subprocess.DEVNULL, environ=settings | environ) as (_, client),
    ):
        begun = time.monotonic()
        while client_status(client, "/readyz") != OK and time.monotonic() - begun < 15:
            time.sleep(0.05)
        begun = time.monotonic()

        def is_over() -> bool:
            """Whether time is up and the front was seen in two years, or never will be."""
            gone_s = time.monotonic() - begun
            return gone_s > seconds and (with_monotonic or len(dates) >= 2 or gone_s > seconds + 30)

        while not is_over():
            if (status := client_status(client, "/readyz")) != OK:
                wrong.append(f"readiness {status}")
            answer = client.post(PREDICT, json={"do": "echo"})
            dates.add(answer.headers.get("date", "")[12:16])
            if answer.status_code != OK:
                wrong.append(f"predict {answer.status_code}")
            age_s = client.get("/models/one/score").json().get("age_s", 0)
            if not 0 <= age_s < 60 + seconds:
                wrong.append(f"age of the score {age_s}")
    # The years that the front believed in; one whose timers do not ring any more is stuck in one.
    assert len(dates) >= 2 or with_monotonic
    return wrong


def client_status(client: httpx.Client, path: str) -> int:
    """Return the status of a GET; 0 where nothing answers."""
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.fault("B10")
def test_a_clock_that_jumps(layout: Path, tmp_path: Path, scale: Scale, figure: Figure) -> None:
    """What time it is matters to nothing but the log."""
    seconds = scale(3, 60)
    assert disturbed(layout, tmp_path / "jump", seconds, with_monotonic=False) == []
    figure(f"0 spurious failures in {seconds} s of jumps by an hour and by ten years")


@pytest.mark.control("B10")
def test_a_monotonic_clock_that_jumps(layout: Path, tmp_path: Path) -> None:
    """If the clock that is used for deadlines and ages jumped, it would be seen."""
    assert disturbed(layout, tmp_path / "jump", 3, with_monotonic=True)


@pytest.mark.fault("A9")
def test_a_score_below_its_minimum(make_layout: MakeLayout, serve: Serve, figure: Figure) -> None:
    """It is told by `/score` and the metrics, and by readiness where the manifest says so."""
    minimum = ", min_score = { accuracy = 0.6 }"
    layout = make_layout(
        gated=Model(source=obedient("gated"), options=f'{minimum}, gate = "readiness"'),
        told=Model(source=obedient("told"), options=minimum),
    )
    server = serve(layout)
    server.wait_until_scored()
    server.wait_until("/models/told/readyz")
    assert server.get("/readyz?verbose").json() == {
        "gated": {"ready": False, "reason": "score-below-minimum"},
        "told": {"ready": True, "reason": "passed"},
    }
    metrics = server.get("/metrics").text
    for name in ("gated", "told"):
        assert server.get(f"/models/{name}/score").json()["scores"][0]["value"] == 0.5
        labels = f'direction="higher",model="{name}",score="accuracy"'
        assert f"stevedore_score{{{labels}}} 0.5" in metrics
    assert 'stevedore_ready{model="gated"} 0.0' in metrics
    figure("0.5 for 0.6: told in both places; not ready only where it is a gate")


@pytest.mark.control("A9")
def test_a_score_above_its_minimum(make_layout: MakeLayout, serve: Serve) -> None:
    """The same model is ready where less is asked of it."""
    options = ', min_score = { accuracy = 0.4 }, gate = "readiness"'
    server = serve(make_layout(one=Model(source=obedient("one"), options=options)))
    server.wait_until("/readyz")


def failures(layout: Path, stdout: int | IO[bytes], calls: int) -> int:
    """Return how many of so many calls to a front that logs there are not answered."""
    with front(layout, stdout=stdout, environ={}) as (_, client):
        wait_until_ready(client)
        statuses = [client.post(PREDICT, json={"do": "echo"}).status_code for _ in range(calls)]
    return sum(status != http.client.OK for status in statuses)


@pytest.mark.fault("F3")
def test_a_log_that_cannot_be_written(layout: Path, scale: Scale, figure: Figure) -> None:
    """A full disk, a pipe that nobody reads and one that is closed cost no request."""
    calls = scale(600, 10_000)  # a pipe holds some 300 lines
    with Path("/dev/full").open("wb") as full:
        assert failures(layout, full, calls) == 0
    unread, written = os.pipe()
    try:
        assert failures(layout, written, calls) == 0
    finally:
        os.close(unread)
    assert failures(layout, written, calls) == 0
    os.close(written)
    figure(f"0 of {calls} calls failed with each of a full disk, an unread and a closed pipe")


@pytest.mark.control("F3")
def test_so_many_lines_would_block(tmp_path: Path) -> None:
    """A process that simply prints as many lines to such a pipe never gets to its end."""
    end = tmp_path / "end"
    code = f"for _ in range(600): print('x' * 200)\nopen({str(end)!r}, 'w')"
    unread, written = os.pipe()
    process = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=written)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert not end.exists()
    finally:
        process.kill()
        process.wait()
        os.close(unread)
        os.close(written)

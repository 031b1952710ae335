"""The worker: through a real socket, in a thread of this process and as a process of its own."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stevedore_core.frames import MAX_BODY_BYTES, Frame, FrameBuffer, Kind, pack
from stevedore_core.worker import serve

InstallModel = Callable[..., Path]

LIMIT_S = 20.0
"""How long a test waits for what takes well under a second."""

OBEDIENT = """
import ctypes, os, signal, sys, time, weakref
from stevedore_core.predictor import Predictor

ORDER = {"type": "object", "required": ["do"], "properties": {"do": {"type": "string"}}}

CYCLES = weakref.WeakSet()
HELD = []


class Cycle:
    pass


class Obedient(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        value = X.get("value")
        match X["do"]:
            case "echo":
                return value
            case "text":
                return "x" * value
            case "sleep":
                time.sleep(value)
                return "slept"
            case "raise":
                raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt}.get(
                    value, ValueError
                )("secret")
            case "object":
                return object()
            case "cycle":
                cycle = Cycle()
                cycle.itself = cycle
                CYCLES.add(cycle)
                HELD[:] = [cycle] if value else []
            case "cycles":
                return len(CYCLES)
            case "print":
                print("printed by Python")
                os.write(1, b"written to descriptor 1\\n")
                ctypes.CDLL(None).puts(b"put by C")
                ctypes.CDLL(None).fflush(None)
                sys.stderr.write("written to stderr\\n")
                return "printed"
            case "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
                return "not interrupted"

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return {"accuracy": 0.5, "loss": {"value": len(X), "direction": "lower"}}


def load():
    return Obedient(None, NAME, {"do": "echo"}, ORDER, [1, 2], {"type": "array"}, "1.0.0")
"""
BROKEN = "raise RuntimeError('secret')"


@dataclass
class Front:
    """The front's end of the socket."""

    connection: socket.socket
    buffer: FrameBuffer = field(default_factory=FrameBuffer, init=False)
    frames: list[Frame] = field(default_factory=list, init=False)

    def send(self, kind: int, body: bytes = b"", *, model: int = 0) -> None:
        """Send a frame."""
        self.connection.sendall(pack([Frame(0, kind, model, body)]))

    def receive(self) -> Frame:
        """Return the next frame from the worker."""
        while not self.frames:
            received = self.connection.recv(1 << 20)
            assert received, "the worker closed its socket"
            self.frames += self.buffer.feed(received)
        return self.frames.pop(0)

    def ask(self, kind: int, body: bytes = b"", *, model: int = 0) -> tuple[int, Any]:
        """Send a frame and return kind and decoded body of its reply."""
        self.send(kind, body, model=model)
        reply = self.receive()
        assert (reply.following, reply.model) == (0, model)
        return reply.kind, json.loads(reply.body)

    def ask_together(self, *bodies: bytes) -> list[tuple[int, Any]]:
        """Ask for predictions in one batch; return kinds and decoded bodies of the replies."""
        last = len(bodies) - 1
        frames = [Frame(last - n, Kind.PREDICT, 0, body) for n, body in enumerate(bodies)]
        self.connection.sendall(pack(frames))
        replies = [self.receive() for _ in bodies]
        assert [reply.following for reply in replies] == [frame.following for frame in frames]
        return [(reply.kind, json.loads(reply.body)) for reply in replies]

    def order(self, do: str, value: object = None) -> tuple[int, Any]:
        """Tell the first model what to do."""
        return self.ask(Kind.PREDICT, json.dumps({"do": do, "value": value}).encode())


StartThread = Callable[[Sequence[str]], Front]


@pytest.fixture
def in_thread() -> Iterator[StartThread]:
    """Serve models in a thread of this process."""
    threads: list[tuple[threading.Thread, socket.socket]] = []
    thresholds = gc.get_threshold()

    def run(connection: socket.socket, models: Sequence[str]) -> None:
        with connection:
            serve(connection, models)

    def start(models: Sequence[str]) -> Front:
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT_S)
        thread = threading.Thread(target=run, args=(theirs, models))
        thread.start()
        threads.append((thread, ours))
        return Front(ours)

    yield start
    for thread, connection in threads:
        connection.close()
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def front(install_model: InstallModel, in_thread: StartThread) -> Front:
    """The front of a worker that has loaded one obedient model."""
    install_model("obedient", OBEDIENT)
    front = in_thread(["obedient"])
    assert front.receive().kind == Kind.LOADED
    return front


ORDER = {"type": "object", "required": ["do"], "properties": {"do": {"type": "string"}}}


def test_a_loaded_model_tells_its_catalogue_entry(
    install_model: InstallModel, in_thread: StartThread
) -> None:
    """The first frame says all that the front needs to know of the model."""
    install_model("obedient", OBEDIENT)
    frame = in_thread(["obedient"]).receive()
    assert (frame.following, frame.kind, frame.model) == (0, Kind.LOADED, 0)
    entry = json.loads(frame.body)
    assert entry.pop("created").endswith("+00:00")
    assert entry == {
        "name": "obedient",
        "version": "1.0.0",
        "batchable": False,
        "predict_schema": ORDER,
        "score_schema": {"type": "array"},
        "predict_example": {"do": "echo"},
        "score_example": [1, 2],
    }


def test_one_broken_model_does_not_stop_the_others(
    install_model: InstallModel, in_thread: StartThread
) -> None:
    """Each model tells of itself, in order; those that loaded answer, the others refuse."""
    install_model("broken", BROKEN)
    install_model("obedient", OBEDIENT)
    front = in_thread(["broken", "absent", "obedient"])
    broken, absent, loaded = (front.receive() for _ in range(3))
    assert (broken.kind, broken.model, json.loads(broken.body)) == (
        Kind.LOAD_FAILED,
        0,
        {
            "code": "model-broken",
            "detail": "importing model `broken` raised `RuntimeError: secret`",
        },
    )
    assert (absent.kind, absent.model) == (Kind.LOAD_FAILED, 1)
    assert json.loads(absent.body)["code"] == "model-absent"
    assert (loaded.kind, loaded.model) == (Kind.LOADED, 2)
    assert front.ask(Kind.PREDICT, b'{"do":"echo","value":1}', model=2) == (Kind.ANSWER, 1)
    refusal = {"code": "model-not-ready", "detail": "the model is not loaded"}
    assert front.ask(Kind.PREDICT, b'{"do":"echo"}', model=0) == (Kind.REFUSAL, refusal)
    assert front.ask(Kind.SELF_TEST, model=1) == (Kind.REFUSAL, refusal)


def test_a_model_whose_loader_exits_does_not_stop_the_others(
    install_model: InstallModel, in_thread: StartThread
) -> None:
    """`sys.exit` in one model's module is that model's failure."""
    install_model("exiting", "import sys; sys.exit(3)")
    install_model("obedient", OBEDIENT)
    front = in_thread(["exiting", "obedient"])
    assert [front.receive().kind for _ in range(2)] == [Kind.LOAD_FAILED, Kind.LOADED]


@pytest.mark.parametrize(
    ("kind", "body", "answer"),
    [
        (Kind.PREDICT, b'{"do":"echo","value":[1,null]}', [1, None]),
        (
            Kind.PREDICT_ENVELOPE,
            b'{"predictor":"obedient","payload":{"do":"echo","value":2}}',
            2,
        ),
        (Kind.SCORE, b"[1,2,3]", {"accuracy": 0.5, "loss": {"value": 3, "direction": "lower"}}),
        (
            Kind.SCORE_ENVELOPE,
            b'{"predictor":"obedient","payload":[]}',
            {"accuracy": 0.5, "loss": {"value": 0, "direction": "lower"}},
        ),
        (Kind.SELF_TEST, b"", {"reason": "passed", "detail": ""}),
        (
            Kind.SCORE_EXAMPLES,
            b"",
            [
                {"name": "accuracy", "value": 0.5, "direction": "higher"},
                {"name": "loss", "value": 2.0, "direction": "lower"},
            ],
        ),
    ],
)
def test_each_kind_of_frame_is_answered(front: Front, kind: Kind, body: bytes, answer: Any) -> None:
    """A worker answers payloads, envelopes, self-tests and the scoring of examples."""
    assert front.ask(kind, body) == (Kind.ANSWER, answer)


@pytest.mark.parametrize(
    ("kind", "body", "refusal"),
    [
        (
            Kind.PREDICT,
            b"{",
            {
                "code": "body-not-json",
                "detail": "the body is not strict JSON: "
                "EOF while parsing an object at line 1 column 1",
            },
        ),
        (
            Kind.PREDICT,
            b'{"do":1}',
            {
                "code": "payload-invalid",
                "detail": "the payload does not fit the model's JSON Schema",
                "violations": [{"pointer": "/do", "message": 'the value is not of type "string"'}],
            },
        ),
        (
            Kind.PREDICT,
            b'{"do":"raise"}',
            {
                "code": "predictor-failed",
                "detail": "model `obedient` failed on this payload",
            },
        ),
        (
            Kind.PREDICT,
            b'{"do":"object"}',
            {
                "code": "output-not-json",
                "detail": "the output has no JSON form: Type is not JSON serializable: object",
            },
        ),
        (
            Kind.PREDICT_ENVELOPE,
            b'{"predictor":"other","payload":1}',
            {
                "code": "model-unknown",
                "detail": "the envelope names another model than the one it was read for",
            },
        ),
        (
            Kind.SCORE_ENVELOPE,
            b"[]",
            {
                "code": "envelope-invalid",
                "detail": 'expected an object like {"predictor": "<model>", "payload": …}',
            },
        ),
        (99, b"", {"code": "error", "detail": "a worker does not take frames of kind 99"}),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(
    front: Front, kind: int, body: bytes, refusal: Any
) -> None:
    """A refusal has a stable code and a sentence without the payload; the next call works."""
    assert front.ask(kind, body) == (Kind.REFUSAL, refusal)
    assert front.order("echo", 1) == (Kind.ANSWER, 1)


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "ValueError"])
def test_an_exception_costs_its_call_only(
    front: Front, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty failures in turn, and each next call works; the cause stands in the log."""
    for number in range(20):
        kind, refusal = front.order("raise", error)
        assert (kind, refusal["code"]) == (Kind.REFUSAL, "predictor-failed")
        assert front.order("echo", number) == (Kind.ANSWER, number)
    assert caplog.text.count(f"{error}: secret") == 20


def test_a_refusal_without_a_cause_is_not_logged(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    """What callers get wrong is their business and not the log's."""
    front.ask(Kind.PREDICT, b"{")
    front.ask(Kind.PREDICT, b"1")
    assert caplog.records == []


def test_frames_are_answered_in_order(front: Front) -> None:
    """Frames that wait in the socket are answered one after another."""
    for number in range(50):
        front.send(Kind.PREDICT, b'{"do":"echo","value":%d}' % number)
    assert [json.loads(front.receive().body) for _ in range(50)] == list(range(50))


def test_a_batch_is_answered_frame_by_frame(front: Front) -> None:
    """As many answers as frames, in their order; what is wrong with one is told to it alone."""
    assert front.ask_together(b'{"do":"echo","value":1}', b"{", b'{"do":"echo","value":2}') == [
        (Kind.ANSWER, 1),
        (
            Kind.REFUSAL,
            {
                "code": "body-not-json",
                "detail": "the body is not strict JSON: "
                "EOF while parsing an object at line 1 column 1",
            },
        ),
        (Kind.ANSWER, 2),
    ]


def test_a_batch_for_a_model_that_is_not_loaded(
    install_model: InstallModel, in_thread: StartThread
) -> None:
    """Every frame of it is refused."""
    install_model("broken", BROKEN)
    front = in_thread(["broken"])
    front.receive()
    refusal = (Kind.REFUSAL, {"code": "model-not-ready", "detail": "the model is not loaded"})
    assert front.ask_together(b"1", b"2") == [refusal] * 2


def test_a_failure_in_a_batch_is_logged_once_for_each_request(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    """The cause stands in the log, as it does for a request that came alone."""
    bodies = [b'{"do":"raise"}', b'{"do":"echo","value":1}', b'{"do":"raise"}']
    assert [kind for kind, _ in front.ask_together(*bodies)] == [
        Kind.REFUSAL,
        Kind.ANSWER,
        Kind.REFUSAL,
    ]
    assert caplog.text.count("ValueError: secret") == 2


def test_what_a_call_leaves_behind_is_collected(front: Front) -> None:
    """No collection stops a call, so one follows it: garbage does not pile up."""
    for _ in range(3):
        assert front.order("cycle") == (Kind.ANSWER, None)
        assert front.order("echo", 1) == (Kind.ANSWER, 1)
        assert front.order("cycles") == (Kind.ANSWER, 0)


def test_what_is_left_behind_later_is_collected_too(front: Front) -> None:
    """What outlived some calls is no longer young; after many calls it is looked at as well."""
    front.order("cycle", "held")
    for number in range(3):
        assert front.order("echo", number) == (Kind.ANSWER, number)
    front.order("cycle")  # takes the place of the one that was held
    assert front.order("cycles") == (Kind.ANSWER, 1)
    for number in range(256):
        front.order("echo", number)
    assert front.order("cycles") == (Kind.ANSWER, 0)


def test_a_frame_may_arrive_in_pieces(front: Front) -> None:
    """The socket cuts where it likes."""
    for byte in pack([Frame(0, Kind.PREDICT, 0, b'{"do":"echo","value":"whole"}')]):
        front.connection.sendall(bytes([byte]))
    assert front.receive() == Frame(0, Kind.ANSWER, 0, b'"whole"')


def test_a_large_payload_and_a_large_answer_pass(front: Front) -> None:
    """A body of a few megabytes goes both ways."""
    text = "x" * 3_000_000
    assert front.order("echo", text) == (Kind.ANSWER, text)


def test_an_answer_up_to_the_limit_passes_and_a_longer_one_is_refused(front: Front) -> None:
    """The front never gets a frame that it would not take."""
    quotes = 2
    front.send(Kind.PREDICT, b'{"do":"text","value":%d}' % (MAX_BODY_BYTES - quotes))
    reply = front.receive()
    assert (reply.kind, len(reply.body)) == (Kind.ANSWER, MAX_BODY_BYTES)
    assert front.order("text", MAX_BODY_BYTES - quotes + 1) == (
        Kind.REFUSAL,
        {"code": "output-not-json", "detail": "the output is longer than 67108864 bytes"},
    )


@pytest.mark.parametrize("part", [b"", b"\0\0\0", pack([Frame(0, Kind.PREDICT, 0, b"[1]")])[:-1]])
def test_the_loop_ends_when_the_front_is_gone(part: bytes) -> None:
    """Between frames, within a header and within a body alike."""
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(part)
        theirs.settimeout(LIMIT_S)
        thresholds = gc.get_threshold()
        serve(theirs, [])
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@dataclass
class Worker:
    """A worker process and the front's end of its socket."""

    process: subprocess.Popen[bytes]
    front: Front
    log: Path

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit status and what it wrote."""
        return self.process.wait(LIMIT_S), self.log.read_text()


StartProcess = Callable[[Sequence[str]], Worker]


@pytest.fixture
def as_process(install_model: InstallModel, tmp_path: Path) -> Iterator[StartProcess]:
    """Start worker processes as the front does; they are gone after the test."""
    install_model("obedient", OBEDIENT)
    install_model("broken", BROKEN)
    workers: list[Worker] = []

    def start(models: Sequence[str]) -> Worker:
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT_S)
        log = tmp_path / "worker.log"
        with theirs, log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "stevedore_core.worker", str(theirs.fileno()), *models],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                env=worker_environ(tmp_path),
            )
        workers.append(Worker(process, Front(ours), log))
        return workers[-1]

    yield start
    for worker in workers:
        worker.front.connection.close()
        worker.process.kill()
        worker.process.wait()


def worker_environ(tmp_path: Path) -> dict[str, str]:
    """Return what a worker sees: the models, and how this run measures its coverage."""
    measuring = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    return {**measuring, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}


def test_a_process_loads_answers_and_ends_with_the_front(as_process: StartProcess) -> None:
    """A worker lives as long as its socket, and ends without an error."""
    worker = as_process(["obedient", "broken"])
    assert [worker.front.receive().kind for _ in range(2)] == [Kind.LOADED, Kind.LOAD_FAILED]
    assert worker.front.order("echo", "hello") == (Kind.ANSWER, "hello")
    worker.front.connection.close()
    status, log = worker.ended()
    assert status == 0
    assert '"logger":"stevedore_core.worker","message":"model `broken` cannot be loaded"' in log
    assert "RuntimeError: secret" in log


def test_what_a_model_prints_goes_to_the_log(as_process: StartProcess) -> None:
    """Output of Python, of C and of raw writes neither reaches the socket nor gets lost."""
    worker = as_process(["obedient"])
    worker.front.receive()
    assert worker.front.order("print") == (Kind.ANSWER, "printed")
    assert worker.front.order("echo", 1) == (Kind.ANSWER, 1)
    worker.front.connection.close()
    status, log = worker.ended()
    assert status == 0
    assert sorted(log.splitlines()) == [
        "printed by Python",
        "put by C",
        "written to descriptor 1",
        "written to stderr",
    ]


def test_an_interrupt_from_the_keyboard_is_the_fronts_to_handle(as_process: StartProcess) -> None:
    """Ctrl-C reaches every process of the terminal; a worker carries on."""
    worker = as_process(["obedient"])
    worker.front.receive()
    assert worker.front.order("interrupt") == (Kind.ANSWER, "not interrupted")


def test_a_front_that_left_during_a_call_is_no_error(as_process: StartProcess) -> None:
    """The answer finds nobody, and the worker ends quietly."""
    worker = as_process(["obedient"])
    worker.front.receive()
    worker.front.send(Kind.PREDICT, b'{"do":"sleep","value":0.2}')
    worker.front.connection.close()
    assert worker.ended() == (0, "")


PARENT = """
import socket, subprocess, sys, time
from stevedore_core.frames import Frame, Kind, pack

ours, theirs = socket.socketpair()
command = [sys.executable, "-m", "stevedore_core.worker", str(theirs.fileno()), "obedient"]
worker = subprocess.Popen(command, pass_fds=[theirs.fileno()])
ours.recv(1)
ours.sendall(pack([Frame(0, Kind.PREDICT, 0, b'{"do":"sleep","value":600}')]))
print(worker.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_worker_dies_with_its_front_even_inside_a_call(
    install_model: InstallModel, tmp_path: Path
) -> None:
    """A front that is killed leaves nothing behind, not even a worker that would not notice."""
    install_model("obedient", OBEDIENT)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=worker_environ(tmp_path)
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + LIMIT_S
    while is_running(worker) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_running(worker)


def is_running(process: int) -> bool:
    """Return whether the process exists and is more than an entry that nobody collected."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"

"""What a locked model answers: its predictions and scores, from a worker as in production.

Releases compare the answers of two versions. Each model runs on the layout of its lock alone, so
its answers are the same in whatever composition it ships; they are kept in the store.
"""

import json
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from stevedore_build.checks.passed import key_of
from stevedore_build.console import step
from stevedore_build.errors import CheckFailed
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.layouts.joining import layout_alone
from stevedore_build.platforms import host_platform
from stevedore_build.store import Store
from stevedore_core.frames import Frame, FrameBuffer, Kind, pack
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.scores import Score
from stevedore_core.strict_json import Json, encode
from stevedore_core.worker_command import WorkerCommand

__all__ = ["Answer", "Answers", "answers_of"]

_FORMAT: Final = "answers 1"
_LIMIT_S: Final = 120.0
"""How long loading may take, and each answer."""
_LOG_TAIL_BYTES: Final = 4_000
_AT_ONCE_BYTES: Final = 64 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a model made of one payload: a prediction, or words for why there is none."""

    prediction: Json = None
    refusal: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What one version of a model says about itself, predicts and scores."""

    name: str
    version: str
    predict_schema: Json
    score_schema: Json
    predict_example: Json
    """The packaged payload."""
    score_example: Json
    """The packaged labelled examples."""
    scores: tuple[Score, ...]
    """On `score_example`."""
    answer: Answer
    """To `predict_example`."""
    asked: tuple[Answer, ...]
    """To the payloads that were given, in their order."""


def answers_of(
    lock: Lock,
    name: str,
    version: str | None = None,
    *,
    store: Store,
    payloads: Sequence[Json] = (),
) -> Answers:
    """Return what a model of a lock answers, its default version if none is given.

    Runs the model once for the same pins and payloads. Raises `CheckFailed` where it cannot be
    loaded or scored, dies or takes too long, and `KeyError` where the lock does not hold it.
    """
    alone = lock.restrict(name, version)
    interpreter = find_interpreter(alone.python, store=store)
    key = key_of(
        {
            "format": _FORMAT,
            "lock": alone.digest,
            "python": interpreter.version,
            "platform": host_platform().name,
            "payloads": [encode(payload).decode() for payload in payloads],
        }
    )
    kept = store.answers / f"{key}.json"
    if not kept.is_file():
        model = alone.model(name)
        with step(f"Asking `{name}` {model.version}"):
            told = _told(alone, model, interpreter.program, payloads, store)
        store.write(kept, json.dumps(told))
    return _answers(json.loads(kept.read_bytes()))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Worker:
    """A running worker of one model, spoken to in frames."""

    title: str
    connection: socket.socket
    log: IO[bytes]
    frames: FrameBuffer = field(default_factory=FrameBuffer)

    def loaded(self) -> dict[str, Json]:
        """Return what the worker says of the model once it is loaded."""
        frame = self._receive()
        entry: dict[str, Json] = json.loads(frame.body)
        if frame.kind != Kind.LOADED:
            raise CheckFailed(f"{self.title} cannot be loaded: {entry['detail']}{self._said()}")
        return entry

    def predicted(self, payload: Json) -> dict[str, Json]:
        """Return the prediction for a payload, or the refusal."""
        frame = self._ask(Kind.PREDICT, encode(payload))
        told = json.loads(frame.body)
        if frame.kind == Kind.ANSWER:
            return {"prediction": told, "refusal": None}
        return {"prediction": None, "refusal": told["detail"]}

    def scores(self) -> Json:
        """Return the scores on the packaged examples."""
        frame = self._ask(Kind.SCORE_EXAMPLES, b"")
        told: Json = json.loads(frame.body)
        if frame.kind != Kind.ANSWER and isinstance(told, dict):
            raise CheckFailed(f"{self.title} cannot be scored: {told['detail']}{self._said()}")
        return told

    def _ask(self, kind: Kind, body: bytes) -> Frame:
        with suppress(ConnectionError):  # it died: so say what it said, when nothing is received
            self.connection.sendall(pack([Frame(0, kind, 0, body)]))
        return self._receive()

    def _receive(self) -> Frame:
        while not (whole := self.frames.feed(self._received())):
            pass
        return whole[0]

    def _received(self) -> bytes:
        try:
            received = self.connection.recv(_AT_ONCE_BYTES)
        except TimeoutError:
            raise CheckFailed(
                f"{self.title} took more than {_LIMIT_S:.0f} s to answer{self._said()}"
            ) from None
        except ConnectionError:
            received = b""
        if not received:
            raise CheckFailed(f"the worker of {self.title} died{self._said()}")
        return received

    def _said(self) -> str:
        self.log.seek(0)
        said = self.log.read()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return f"; it said:\n{said}" if said else ""


def _told(
    lock: Lock, model: LockedModel, python: Path, payloads: Sequence[Json], store: Store
) -> dict[str, Json]:
    """Return all that `Answers` holds, as JSON."""
    _, path = layout_alone(lock, store=store)
    with _started(model, python, path) as worker:
        entry = worker.loaded()
        scores = worker.scores()
        answer = worker.predicted(entry["predict_example"])
        asked: list[Json] = [worker.predicted(payload) for payload in payloads]
    return {**entry, "scores": scores, "answer": answer, "asked": asked}


@contextmanager
def _started(model: LockedModel, python: Path, path: Sequence[Path]) -> Iterator[_Worker]:
    """Run a worker as the front does; it and its children are gone in the end, come what may."""
    command = WorkerCommand(
        python=python,
        import_path=path,
        models=[model.name],
        threads=1,  # the order in which numbers are added up must not depend on the machine
    )
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as log:
        with theirs:
            process = command.start(theirs, os.environ, output=log)
        try:
            ours.settimeout(_LIMIT_S)
            title = f"model `{model.name}` {model.version}"
            yield _Worker(title=title, connection=ours, log=log)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(told: Mapping[str, Any]) -> Answers:
    return Answers(
        name=told["name"],
        version=told["version"],
        predict_schema=told["predict_schema"],
        score_schema=told["score_schema"],
        predict_example=told["predict_example"],
        score_example=told["score_example"],
        scores=tuple(Score(**score) for score in told["scores"]),
        answer=Answer(**told["answer"]),
        asked=tuple(Answer(**answer) for answer in told["asked"]),
    )

"""The worker process: loads its models, then answers one batch of frames after another.

Started by the front as `python -m stevedore_core.worker <socket's file descriptor> <model> …`.
"""

import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from stevedore_core import calls
from stevedore_core.discovery import load_model
from stevedore_core.errors import ModelNotReady, OutputNotJson, PayloadInvalid, StevedoreError
from stevedore_core.frames import MAX_BODY_BYTES, Frame, FrameBuffer, Kind, pack
from stevedore_core.logs import configure_logging, unsilence_logging
from stevedore_core.predictor import Predictor
from stevedore_core.self_test import run_self_test, score_examples
from stevedore_core.strict_json import encode

__all__ = ["main", "serve"]

_log = logging.getLogger("stevedore_core.worker")  # whose `__name__` is `__main__`
_ENVELOPES = frozenset({Kind.PREDICT_ENVELOPE, Kind.SCORE_ENVELOPE})
_PR_SET_PDEATHSIG = 1
_FIRST_TO_KILL = "1000"
_CONTAINERS_IN_A_CALL = 100_000
"""Lists and the like that a call may make before a collection, which finds nothing, stops it."""
_BATCHES_BETWEEN_COLLECTIONS = 256
"""After each batch only what it left is looked at; after so many, all that came since loading."""
_RECEIVED_AT_ONCE_BYTES = 256 << 10


def main(arguments: Sequence[str]) -> None:
    """Run a worker on the socket and for the models that the arguments name."""
    configure_logging(sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # when to stop is the front's business
    _die_with_parent()
    _die_before_parent()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a model prints belongs to the log
    descriptor, *models = arguments
    with socket.socket(fileno=int(descriptor)) as connection, suppress(ConnectionError):
        # The front sees a death by the end of the stream: no child may hold the socket open.
        connection.set_inheritable(False)
        os.register_at_fork(after_in_child=connection.close)
        serve(connection, models)  # ConnectionError: the front is gone, as at the end of a stream


def serve(connection: socket.socket, models: Sequence[str]) -> None:
    """Load `models`, tell the front of each, and answer its frames until it closes `connection`."""
    predictors = {number: _load(connection, number, name) for number, name in enumerate(models)}
    gc.collect()
    gc.freeze()  # the models live as long as the process: no collection needs to walk them again
    gc.set_threshold(_CONTAINERS_IN_A_CALL)
    for count, batch in enumerate(_batches(connection), start=1):
        if batch[0].kind == Kind.LOAD:
            number = batch[0].model
            predictors[number] = _load(connection, number, models[number])
            continue
        connection.sendall(pack(_replies(predictors[batch[0].model], batch)))
        gc.collect(0 if count % _BATCHES_BETWEEN_COLLECTIONS else 2)


def _load(connection: socket.socket, number: int, name: str) -> Predictor | None:
    """Load one model; a broken one must not keep the others from being served."""
    try:
        predictor = load_model(name)
        kind, body = Kind.LOADED, encode(_entry(predictor))
    except StevedoreError as error:
        _log.exception("model `%s` cannot be loaded", name)
        predictor, kind, body = None, Kind.LOAD_FAILED, _refusal(error)
    connection.sendall(pack([Frame(0, kind, number, body)]))
    return predictor


def _entry(predictor: Predictor) -> dict[str, object]:
    """Return what the front needs to know of a model."""
    return {
        "name": predictor.name,
        "version": predictor.version,
        "batchable": predictor.batchable,
        "created": predictor.created,
        "predict_schema": predictor.p_schema,
        "score_schema": predictor.s_schema,
        "predict_example": predictor.test_input,
        "score_example": predictor.score_test_input,
    }


def _replies(predictor: Predictor | None, batch: Sequence[Frame]) -> list[Frame]:
    """Return the answers to the frames of a batch, which are all for one model."""
    results: list[bytes | StevedoreError]
    if predictor is None:
        results = [ModelNotReady("the model is not loaded") for _ in batch]
    elif len(batch) == 1:
        results = [_answer(predictor, batch[0])]
    else:
        requests = [calls.Request(f.body, f.kind == Kind.PREDICT_ENVELOPE) for f in batch]
        results = calls.predict_many(predictor, requests)
    return [_reply(predictor, *pair) for pair in zip(batch, results, strict=True)]


def _answer(predictor: Predictor, frame: Frame) -> bytes | StevedoreError:
    is_envelope = frame.kind in _ENVELOPES
    try:
        match frame.kind:
            case Kind.PREDICT | Kind.PREDICT_ENVELOPE:
                return calls.predict(predictor, frame.body, is_envelope=is_envelope)
            case Kind.SCORE | Kind.SCORE_ENVELOPE:
                return calls.score(predictor, frame.body, is_envelope=is_envelope)
            case Kind.SELF_TEST:
                return encode(asdict(run_self_test(predictor)))
            case Kind.SCORE_EXAMPLES:
                return encode([asdict(score) for score in score_examples(predictor)])
    except StevedoreError as error:
        return error
    return StevedoreError(f"a worker does not take frames of kind {frame.kind}")


def _reply(predictor: Predictor | None, frame: Frame, result: bytes | StevedoreError) -> Frame:
    if isinstance(result, bytes):
        if len(result) <= MAX_BODY_BYTES:
            return Frame(frame.following, Kind.ANSWER, frame.model, result)
        result = OutputNotJson(f"the output is longer than {MAX_BODY_BYTES} bytes")
    if result.__cause__ is not None:
        unsilence_logging()
        _log.error("model `%s`", predictor.name if predictor else frame.model, exc_info=result)
    return Frame(frame.following, Kind.REFUSAL, frame.model, _refusal(result))


def _refusal(error: StevedoreError) -> bytes:
    """Say what went wrong in words that may reach a caller; the cause stays in the log."""
    body: dict[str, object] = {"code": error.code, "detail": str(error)}
    if isinstance(error, PayloadInvalid):
        body["detail"] = "the payload does not fit the model's JSON Schema"
        body["violations"] = [asdict(violation) for violation in error.violations]
    return encode(body)


def _batches(connection: socket.socket) -> Iterator[list[Frame]]:
    """Hand out the frames that belong together, until the front is gone."""
    received = memoryview(bytearray(_RECEIVED_AT_ONCE_BYTES))
    frames = FrameBuffer()
    batch: list[Frame] = []
    while count := connection.recv_into(received):
        for frame in frames.feed(bytes(received[:count])):
            batch.append(frame)
            if not frame.following:
                yield batch
                batch = []


def _die_with_parent() -> None:
    """Ask Linux to kill this process with the front: stuck in a call, it would never notice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_before_parent() -> None:
    """Ask Linux to choose this process where memory runs out: it can be replaced."""
    with suppress(OSError):  # another system
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_KILL, encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])

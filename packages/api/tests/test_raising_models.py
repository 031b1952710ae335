"""Models that raise whatever can be raised, and models that return what has no JSON form."""

import json
from collections.abc import Callable

import pytest
from served_layout import MakeLayout, Model, Serve, Server, obedient

from stevedore_core.errors import BodyNotJson
from stevedore_core.strict_json import decode

Figure = Callable[[str], None]
Scale = Callable[[int, int], int]

PREDICT = "/models/one/predict"

RAISING = """
import asyncio
import os


class Ending(BaseException):
    pass


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("secret")


class Silencing(Exception):
    def __str__(self):
        raise SystemExit("secret")


def circular():
    error = ValueError("secret")
    error.__cause__ = KeyError("secret")
    error.__cause__.__cause__ = error
    return error


def endless(depth=0):
    return endless(depth + 1)


ERRORS = {
    "ValueError": lambda: ValueError("secret"),
    "TypeError": lambda: TypeError("secret"),
    "KeyError": lambda: KeyError("secret"),
    "IndexError": lambda: IndexError("secret"),
    "AttributeError": lambda: AttributeError("secret"),
    "ZeroDivisionError": lambda: ZeroDivisionError("secret"),
    "AssertionError": lambda: AssertionError("secret"),
    "NotImplementedError": lambda: NotImplementedError("secret"),
    "OSError": lambda: OSError(28, "secret"),
    "BrokenPipeError": lambda: BrokenPipeError("secret"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"),
    "MemoryError": lambda: MemoryError("secret"),
    "StopIteration": lambda: StopIteration("secret"),
    "GeneratorExit": lambda: GeneratorExit("secret"),
    "CancelledError": lambda: asyncio.CancelledError("secret"),
    "SystemExit": lambda: SystemExit("secret"),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("secret"),
    "ExceptionGroup": lambda: ExceptionGroup("secret", [ValueError("secret")]),
    "Ending": lambda: Ending("secret"),
    "Speechless": lambda: Speechless("secret"),
    "Silencing": lambda: Silencing("secret"),
    "circular": circular,
    "endless recursion": endless,
    "death": lambda: os._exit(3),
}


class Raising(Obedient):
    def run_predict(self, X):
        if X["do"] == "fail":
            raise ERRORS[X["value"]]()
        return super().run_predict(X)


Obedient = Raising
"""
"""Raises what the payload names, or dies, which is not raising."""

RAISED = (
    *("ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "ZeroDivisionError"),
    *("AssertionError", "NotImplementedError", "OSError", "BrokenPipeError", "UnicodeDecodeError"),
    *("MemoryError", "StopIteration", "GeneratorExit", "CancelledError", "SystemExit"),
    *("KeyboardInterrupt", "ExceptionGroup", "Ending", "Speechless", "Silencing", "circular"),
    "endless recursion",
)


def changed(change: str) -> str:
    """Return the source of the model `one` with a change of its class."""
    before, load, after = obedient("one").partition("\ndef load()")
    return before + change + load + after


@pytest.fixture
def raising(make_layout: MakeLayout, serve: Serve) -> Server:
    """A server of one model that raises."""
    server = serve(make_layout(one=Model(source=changed(RAISING))))
    server.wait_until("/readyz")
    return server


def failed(server: Server) -> float:
    """Return how many requests the metrics say that the model failed."""
    total = 0.0
    for line in server.get("/metrics").text.splitlines():
        if line.startswith("stevedore_requests_total{") and 'status="500"' in line:
            total += float(line.split()[-1])
    return total


def costs_one_call(server: Server, error: str) -> bool:
    """Tell whether the model's error cost its own call, in fixed words, and nothing else."""
    worker = server.post(PREDICT, {"do": "pid"}).json()
    before = failed(server)
    bad = server.post(PREDICT, {"do": "fail", "value": error})
    good = server.post(PREDICT, {"do": "pid"})
    body = bad.json()
    return (
        bad.status_code == 500
        and body["type"] == "urn:ml-py-stevedore:problem:predictor-failed"
        and body["detail"] == "model `one` failed on this payload"
        and not any(word in bad.text for word in ("Traceback", "secret", ".py", error))
        and good.status_code == 200
        and good.json() == worker
        and server.get("/readyz").status_code == 200
        and failed(server) == before + 1
    )


@pytest.mark.fault("A1")
def test_what_a_model_raises_costs_one_call(raising: Server, figure: Figure) -> None:
    """The next call is answered by the same worker, the model stays ready, and it is counted."""
    assert [error for error in RAISED if not costs_one_call(raising, error)] == []
    assert raising.errors.read_text().count('"level":"error"') == len(RAISED)
    figure(f"{len(RAISED)} of {len(RAISED)} kinds of exception cost one call; 0 traces in bodies")


@pytest.mark.control("A1")
def test_a_death_costs_more_than_a_call(raising: Server) -> None:
    """Ending the process is not raising, and is not taken for it."""
    assert not costs_one_call(raising, "death")


RETURNING = """
import datetime
import decimal
import numpy


def cyclic():
    value = []
    value.append(value)
    return value


def deep():
    value = []
    for _ in range(1_000_000):
        value = [value]
    return value


OUTPUTS = {
    "NaN": lambda: float("nan"),
    "Infinity": lambda: [float("inf")],
    "-Infinity": lambda: {"a": float("-inf")},
    "numpy NaN": lambda: numpy.array([1, numpy.nan]),
    "numpy scalar": lambda: numpy.float64(0.5),
    "numpy integer": lambda: [numpy.int64(3)],
    "numpy array": lambda: numpy.array([[1, 2], [3, 4]]),
    "tuple": lambda: (1, 2),
    "bytes": lambda: b"bytes",
    "set": lambda: {1},
    "datetime": lambda: datetime.datetime(2020, 1, 1),
    "Decimal": lambda: decimal.Decimal("0.1"),
    "object": object,
    "cyclic": cyclic,
    "deep": deep,
    "generator": lambda: (n for n in [1]),
    "lone surrogate": lambda: "\\ud800",
    "key that is no string": lambda: {1: 2},
    "long string": lambda: "x" * LONG,
}


class Returning(Obedient):
    def run_predict(self, X):
        return OUTPUTS[X["value"]]() if X["do"] == "return" else super().run_predict(X)


Obedient = Returning
"""
"""Returns what the payload names."""

WRITTEN = {
    "numpy scalar": 0.5,
    "numpy integer": [3],
    "numpy array": [[1, 2], [3, 4]],
    "tuple": [1, 2],
}
"""What has a JSON form, and which."""
REFUSED = (
    *("NaN", "Infinity", "-Infinity", "numpy NaN", "bytes", "set", "datetime", "Decimal", "object"),
    *("cyclic", "deep", "generator", "lone surrogate", "key that is no string", "long string"),
)


def is_strict(body: bytes) -> bool:
    """Tell whether a body is JSON as a strict reader reads it."""
    try:
        decode(body)
    except BodyNotJson:
        return False
    return True


@pytest.mark.fault("A6")
def test_whatever_a_model_returns_the_answer_is_json(
    make_layout: MakeLayout, serve: Serve, scale: Scale, figure: Figure
) -> None:
    """What has a JSON form is written, all else refused by one name; the worker stays."""
    long = scale(100_000_000, 1 << 30)
    source = changed(RETURNING.replace("LONG", str(long)))
    server = serve(make_layout(one=Model(source=source)))
    server.wait_until("/readyz")
    worker = server.post(PREDICT, {"do": "pid"}).json()
    for output in (*WRITTEN, *REFUSED):
        answer = server.post(PREDICT, {"do": "return", "value": output})
        assert is_strict(answer.content), output
        if output in WRITTEN:
            assert (answer.status_code, answer.json()) == (200, WRITTEN[output])
        else:
            assert answer.status_code == 500, output
            assert answer.json()["type"] == "urn:ml-py-stevedore:problem:output-not-json"
    assert server.post(PREDICT, {"do": "pid"}).json() == worker
    count = len(WRITTEN) + len(REFUSED)
    figure(
        f"{count} of {count} answers are strict JSON, a string of {long} bytes among the refused"
    )


@pytest.mark.control("A6")
@pytest.mark.parametrize("output", [float("nan"), [float("inf")], {"a": float("-inf")}])
def test_a_lax_writer_is_noticed(output: object) -> None:
    """What Python's own writer makes of such outputs is not JSON."""
    assert not is_strict(json.dumps(output).encode())

"""Calls: bytes in, bytes out, and every failure called by its name."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from stevedore_core import calls
from stevedore_core.errors import (
    BodyNotJson,
    EnvelopeInvalid,
    ModelUnknown,
    OutputNotJson,
    PayloadInvalid,
    PredictorFailed,
    StevedoreError,
)
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json

ANY: Json = True
Step = Callable[[Any], Any]


class Stepping(Predictor):
    """A Predictor whose one step, for predict and score, is the model."""

    def convert_prediction_input(self, payload: Any) -> Any:
        """Hand on."""
        return payload

    def run_predict(self, X: Any) -> Any:  # noqa: N803
        """Take the step."""
        return self.model(X)

    def convert_score_input(self, payload: Any) -> tuple[Any, Any]:
        """Take the payload for inputs and labels."""
        return payload, payload

    def run_scores(self, X: Any, y: Any) -> Any:  # noqa: N803
        """Take the step."""
        return self.model([X, y])


def stepping(step: Step, schema: Json = ANY) -> Stepping:
    """Return a Predictor called `m`."""
    return Stepping(step, "m", [1], schema, [1], schema)


def same(value: Any) -> Any:
    """Change nothing."""
    return value


class Own(BaseException):
    """A model's own exception, outside Exception."""


class Unspeakable(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError

    __repr__ = __str__


def recurse(value: Any) -> Any:
    """Recurse without end."""
    return recurse(value)


RAISED: list[BaseException] = [
    Exception("secret"),
    ValueError("secret"),
    TypeError("secret"),
    KeyError("secret"),
    IndexError("secret"),
    AttributeError("secret"),
    NotImplementedError("secret"),
    RuntimeError("secret"),
    ArithmeticError("secret"),
    ZeroDivisionError("secret"),
    AssertionError("secret"),
    OSError("secret"),
    ImportError("secret"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "secret"),
    StopIteration("secret"),
    StopAsyncIteration("secret"),
    GeneratorExit("secret"),
    MemoryError("secret"),
    RecursionError("secret"),
    SystemExit(3),
    KeyboardInterrupt("secret"),
    ExceptionGroup("secret", [ValueError("secret")]),
    BaseExceptionGroup("secret", [Own("secret")]),
    Own("secret"),
    Unspeakable("secret"),
    StevedoreError("secret"),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_predictor_raises_is_predictor_failed(error: BaseException) -> None:
    """Every exception costs its call only; the message says nothing of it, the cause is kept."""

    def fail(_: Any) -> Any:
        raise error

    predictor = stepping(fail)
    for call in (calls.predict, calls.score):
        with pytest.raises(PredictorFailed) as caught:
            call(predictor, b"[1]")
        assert str(caught.value) == "model `m` failed on this payload"
        assert caught.value.__cause__ is error
    predictor.model = same
    assert calls.predict(predictor, b"[1]") == b"[1]"


def test_endless_recursion_is_predictor_failed() -> None:
    """A model that overruns the stack fails like any other, and the next call works."""
    predictor = stepping(recurse)
    with pytest.raises(PredictorFailed):
        calls.predict(predictor, b"[1]")
    predictor.model = same
    assert calls.predict(predictor, b"[1]") == b"[1]"


@pytest.mark.parametrize("body", [b"null", b"0", b'"x"', b"[]", b"{}", b'{"payload":1}'])
def test_a_bare_body_is_the_payload(body: bytes) -> None:
    """Every JSON value is a payload; what the Predictor returns is the whole answer."""
    assert calls.predict(stepping(same), body) == body
    assert calls.score(stepping(same), body) == b"[" + body + b"," + body + b"]"


@pytest.mark.parametrize(
    "body",
    [
        b'{"predictor":"m","payload":[1]}',
        b'{"payload":[1],"predictor":"m"}',
        b'{"predictor":"m","payload":[1],"extra":{"predictor":"other"}}',
    ],
)
def test_an_envelope_holds_the_payload(body: bytes) -> None:
    """The original's envelope is opened; keys beyond its two are let pass."""
    assert calls.predict(stepping(same), body, is_envelope=True) == b"[1]"
    assert calls.score(stepping(same), body, is_envelope=True) == b"[[1],[1]]"


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b"null", b"{}", b'{"predictor":"m"}', b'{"payload":[1]}']
)
def test_an_envelope_has_two_keys(body: bytes) -> None:
    """A body that lacks one of them is refused in words that show the form."""
    for call in (calls.predict, calls.score):
        with pytest.raises(EnvelopeInvalid) as caught:
            call(stepping(same), body, is_envelope=True)
        assert str(caught.value) == (
            'expected an object like {"predictor": "<model>", "payload": …}'
        )


@pytest.mark.parametrize("other", [b'"other"', b"1", b"null", b'["m"]', b'{"m":1}'])
def test_an_envelope_for_another_model_is_refused(other: bytes) -> None:
    """The worker reads the whole envelope and trusts nobody who read a part of it."""
    with pytest.raises(ModelUnknown) as caught:
        calls.predict(stepping(same), b'{"predictor":' + other + b',"payload":1}', is_envelope=True)
    assert str(caught.value) == "the envelope names another model than the one it was read for"


def test_an_envelope_with_a_key_twice_is_refused() -> None:
    """Two readers could see two different models in it."""
    body = b'{"predictor":"m","payload":[1],"predictor":"other"}'
    with pytest.raises(BodyNotJson):
        calls.predict(stepping(same), body, is_envelope=True)


def test_a_body_that_is_not_json_is_refused() -> None:
    """NaN and its like never reach a model."""
    for body in (b"", b"[1", b"NaN", b"[1e999]", b'\xff"'):
        with pytest.raises(BodyNotJson):
            calls.predict(stepping(same), body)
        with pytest.raises(BodyNotJson):
            calls.score(stepping(same), body)


def test_a_payload_that_breaks_the_schema_is_refused() -> None:
    """The violations come with it, and a Predictor's failure is something else."""
    predictor = stepping(same, {"type": "array"})
    for call in (calls.predict, calls.score):
        for body, is_envelope in ((b"1", False), (b'{"predictor":"m","payload":1}', True)):
            with pytest.raises(PayloadInvalid) as caught:
                call(predictor, body, is_envelope=is_envelope)
            assert [violation.pointer for violation in caught.value.violations] == [""]


@pytest.mark.parametrize("output", [object(), {1}, b"x", float("nan"), [float("inf")], "\ud800"])
def test_an_output_without_json_form_is_refused(output: object) -> None:
    """No answer is invalid JSON."""
    for call in (calls.predict, calls.score):
        with pytest.raises(OutputNotJson):
            call(stepping(lambda _: output), b"[1]")


class Trap:
    """An output that can be written once."""

    def __init__(self) -> None:
        self._answers = [None]

    def tolist(self) -> object:
        """Return nothing, then raise."""
        if not self._answers:
            raise SystemExit
        return self._answers.pop()


Trap.__module__ = "numpy"  # what orjson does not know is asked for lists if it is numpy's


def test_an_output_that_raises_while_it_is_written_costs_its_call_only() -> None:
    """Writing runs code of the output too: it is held to the same rule."""
    with pytest.raises(PredictorFailed) as caught:
        calls.predict(stepping(lambda _: Trap()), b"[1]")
    assert isinstance(caught.value.__cause__, SystemExit)


class Batched(Stepping):
    """A Predictor whose calls may go together; its model is given all instances at once."""

    batchable = True


NUMBERS: Json = {"type": "array", "items": {"type": "number"}}


def batched(step: Step) -> Batched:
    """Return a batchable Predictor called `m`."""
    return Batched(step, "m", [1, 2], NUMBERS, [1], ANY)


def doubled(numbers: list[float]) -> list[float]:
    """Double each number; refuse 13 as some models refuse a value, and none as many do."""
    if 13 in numbers or not numbers:
        raise ValueError
    return [2 * number for number in numbers]


def many(predictor: Predictor, *bodies: bytes) -> list[bytes | str]:
    """Return the answers to bodies that came together; for a failure its code."""
    results = calls.predict_many(predictor, [calls.Request(body) for body in bodies])
    return [result if isinstance(result, bytes) else result.code for result in results]


def counted(step: Step) -> tuple[Step, list[list[float]]]:
    """Return the step, and the list of what it was run on."""
    runs: list[list[float]] = []

    def run(numbers: list[float]) -> Any:
        runs.append(list(numbers))
        return step(numbers)

    return run, runs


def test_many_are_run_once() -> None:
    """All that can be run together is one call of the model, and each gets its own part."""
    step, runs = counted(doubled)
    assert many(batched(step), b"[1]", b"[2,3]", b"[4]") == [b"[2]", b"[4,6]", b"[8]"]
    assert runs == [[1, 2, 3, 4]]


def test_many_envelopes() -> None:
    """Envelopes and bare payloads go together."""
    requests = [
        calls.Request(b'{"predictor":"m","payload":[1]}', is_envelope=True),
        calls.Request(b"[2]"),
        calls.Request(b'{"predictor":"x","payload":[1]}', is_envelope=True),
    ]
    first, second, third = calls.predict_many(batched(doubled), requests)
    assert (first, second) == (b"[2]", b"[4]")
    assert isinstance(third, ModelUnknown)


@pytest.mark.parametrize(
    ("bad", "answer"),
    [
        (b"{", "body-not-json"),
        (b'["x"]', "payload-invalid"),
        (b"[13]", "predictor-failed"),
        (b"[]", "predictor-failed"),
    ],
)
def test_a_bad_request_fails_alone(bad: bytes, answer: str) -> None:
    """Whatever is wrong with one of many, the others get their answers, in their order."""
    assert many(batched(doubled), b"[1]", bad, b"[2]") == [b"[2]", answer, b"[4]"]
    assert many(batched(doubled), bad, bad) == [answer, answer]


def test_an_answer_that_cannot_be_written_fails_alone() -> None:
    """NaN for one instance is no failure of the others, and nothing is run again for it."""
    step, runs = counted(lambda numbers: [1 / n if n else float("nan") for n in numbers])
    assert many(batched(step), b"[1]", b"[0]", b"[2]") == [b"[1.0]", "output-not-json", b"[0.5]"]
    assert runs == [[1, 0, 2]]


def test_what_is_refused_is_read_once_and_divides_nobody() -> None:
    """A bad request is not looked at again, and what stands around it goes together."""
    step, runs = counted(doubled)

    class Reading(Batched):
        bodies: ClassVar[list[bytes]] = []

        def read_payload(self, body: bytes) -> Json:
            self.bodies.append(body)
            return super().read_payload(body)

    predictor = Reading(step, "m", [1, 2], NUMBERS, [1], ANY)
    assert many(predictor, b"[1]", b"{", b"[2]") == [b"[2]", "body-not-json", b"[4]"]
    assert predictor.bodies == [b"[1]", b"{", b"[2]"]
    assert runs == [[1, 2]]


def test_one_that_fails_is_run_once() -> None:
    """What was alone from the beginning is not run alone once more."""
    step, runs = counted(doubled)
    assert many(batched(step), b"[13]", b"{") == ["predictor-failed", "body-not-json"]
    assert runs == [[13]]


class Nullable(Stepping):
    """A Predictor whose predictions may hold NaN."""

    nan_as_null = True
    batchable = True


@pytest.mark.fault("A6")
def test_a_model_may_have_nan_written_as_null() -> None:
    """In predictions, alone and together, and not in scores; what has no JSON form still fails."""
    values = {0: float("nan"), 1: np.float32("inf"), 2: np.array([np.nan, 1.5]), 3: object()}
    predictor = Nullable(
        lambda numbers: [values.get(n, n) for n in numbers], "m", [5], ANY, [1], ANY
    )
    assert calls.predict(predictor, b"[0,1,2,null]") == b"[null,null,[null,1.5],null]"
    assert many(predictor, b"[0]", b"[7]", b"[3]") == [b"[null]", b"[7]", "output-not-json"]
    predictor.model = lambda _: float("nan")
    with pytest.raises(OutputNotJson):
        calls.score(predictor, b"[1]")


@pytest.mark.parametrize(
    "step",
    [
        lambda numbers: [sum(numbers)],
        sum,
        lambda numbers: "x" * len(numbers),
        lambda numbers: dict.fromkeys(map(str, numbers)),
        lambda _: None,
    ],
    ids=["another length", "a number", "a text", "an object", "nothing"],
)
def test_what_is_no_array_of_as_many_is_run_alone(step: Step) -> None:
    """A model that is not what it says gives everybody what it would give them alone."""
    predictor = batched(step)
    alone = [calls.predict(predictor, body) for body in (b"[1]", b"[2,3]")]
    assert many(predictor, b"[1]", b"[2,3]") == alone


def test_a_payload_that_is_no_array_is_run_alone() -> None:
    """A schema may admit more than arrays."""
    predictor = Batched(same, "m", [1], ANY, [1], ANY)
    assert many(predictor, b"[1]", b"2", b"[3]") == [b"[1]", b"2", b"[3]"]


def test_arrays_are_split_too() -> None:
    """What numpy returns is cut like a list, and so is a tuple."""
    returned: list[Step] = [
        lambda numbers: tuple(2 * n for n in numbers),
        lambda numbers: np.array(numbers) * 2,
    ]
    for step, runs in map(counted, returned):
        assert many(batched(step), b"[1]", b"[2,3]") == [b"[2]", b"[4,6]"]
        assert runs == [[1, 2, 3]]

"""The worker's half of the hot path: the bytes of a body in, the bytes of an answer out.

The other half, from the socket to the worker and back, is `stevedore_api.hot_path`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stevedore_core.errors import (
    CallerError,
    EnvelopeInvalid,
    ModelUnknown,
    OutputNotJson,
    PredictorError,
    PredictorFailed,
    StevedoreError,
)
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json, decode, encode

__all__ = ["Request", "predict", "predict_many", "score"]


class Request(NamedTuple):
    """A body that asks for a prediction, and whether it is an envelope."""

    body: bytes
    is_envelope: bool = False


def predict(predictor: Predictor, body: bytes, *, is_envelope: bool = False) -> bytes:
    """Return the prediction for the payload in `body`, as JSON.

    Args:
        predictor: The model's Predictor.
        body: The payload as JSON, or an envelope, `{"predictor": …, "payload": …}`.
        is_envelope: True for the latter.

    Raises:
        BodyNotJson: The body is not strict JSON.
        EnvelopeInvalid: The envelope lacks a key.
        ModelUnknown: The envelope names another model.
        PayloadInvalid: The payload breaks the prediction schema.
        PredictorFailed: One of the Predictor's methods raised.
        OutputNotJson: What it returned cannot be written as JSON.
    """
    payload = _checked_payload(predictor, body, is_envelope=is_envelope)
    return _run(predictor, predictor.predict_checked, payload, nan_as_null=predictor.nan_as_null)


def predict_many(predictor: Predictor, requests: Sequence[Request]) -> list[bytes | StevedoreError]:
    """Return for each request what `predict` would return or raise, from one run where that can be.

    Payloads are decoded and checked one by one. Those that are arrays of instances are run as one
    array; if that fails, each is run alone, so that no request fails for what stands in another.
    """
    results: list[bytes | StevedoreError | None] = [None] * len(requests)
    together: list[tuple[int, list[Json]]] = []
    for number, (body, is_envelope) in enumerate(requests):
        try:
            payload = _checked_payload(predictor, body, is_envelope=is_envelope)
        except StevedoreError as error:
            results[number] = error
            continue
        if isinstance(payload, list) and payload:  # an empty one is the Predictor's to judge alone
            together.append((number, payload))
    if len(together) > 1:
        for (number, _), answer in zip(together, _together(predictor, together), strict=False):
            results[number] = answer
    return [
        _alone(predictor, request) if result is None else result
        for request, result in zip(requests, results, strict=True)
    ]


def score(predictor: Predictor, body: bytes, *, is_envelope: bool = False) -> bytes:
    """Return the score on the labelled examples in `body`, as JSON. All else is as in `predict`."""
    return _run(predictor, predictor.score, _payload(predictor, body, is_envelope=is_envelope))


def _run(
    predictor: Predictor,
    method: Callable[[Json], Any],
    payload: Json,
    *,
    nan_as_null: bool = False,
) -> bytes:
    """Return what `method` makes of `payload` as JSON, and call whatever it raises by its name."""
    try:
        return encode(method(payload), nan_as_null=nan_as_null)
    except (CallerError, PredictorError):
        raise
    except BaseException as error:  # even SystemExit must cost one call, not the worker
        raise PredictorFailed(f"model `{predictor.name}` failed on this payload") from error


def _envelope_payload(name: str, envelope: Json) -> Json:
    """Return the payload of an envelope addressed to the model `name`."""
    if not isinstance(envelope, dict) or not {"predictor", "payload"} <= envelope.keys():
        raise EnvelopeInvalid('expected an object like {"predictor": "<model>", "payload": …}')
    if envelope["predictor"] != name:
        raise ModelUnknown("the envelope names another model than the one it was read for")
    return envelope["payload"]


def _together(
    predictor: Predictor, payloads: Sequence[tuple[int, list[Json]]]
) -> list[bytes | StevedoreError]:
    """Return an answer for each payload from one run over all; nothing if that cannot be."""
    instances = [instance for _, payload in payloads for instance in payload]
    answers: list[bytes | StevedoreError] = []
    try:
        prediction = predictor.predict_checked(instances)
        if not _is_array_of(len(instances), prediction):
            return []
        begin = 0
        for _, payload in payloads:
            end = begin + len(payload)
            answers.append(_encoded(predictor, prediction[begin:end]))
            begin = end
    except BaseException:  # noqa: BLE001  # what it was is told, and logged, where it happens alone
        return []
    return answers


def _is_array_of(count: int, prediction: Any) -> bool:
    is_array = isinstance(prediction, list | tuple) or hasattr(prediction, "tolist")
    return is_array and len(prediction) == count


def _encoded(predictor: Predictor, prediction: Any) -> bytes | StevedoreError:
    try:
        return encode(prediction, nan_as_null=predictor.nan_as_null)
    except OutputNotJson as error:
        return error


def _alone(predictor: Predictor, request: Request) -> bytes | StevedoreError:
    try:
        return predict(predictor, request.body, is_envelope=request.is_envelope)
    except StevedoreError as error:
        return error


def _checked_payload(predictor: Predictor, body: bytes, *, is_envelope: bool) -> Json:
    if not is_envelope:
        return predictor.read_payload(body)
    payload = _payload(predictor, body, is_envelope=True)
    predictor.check_payload(payload)
    return payload


def _payload(predictor: Predictor, body: bytes, *, is_envelope: bool) -> Json:
    value = decode(body)
    return _envelope_payload(predictor.name, value) if is_envelope else value

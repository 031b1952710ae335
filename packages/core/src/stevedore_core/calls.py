"""The worker's half of the hot path: the bytes of a body in, the bytes of an answer out.

The other half, from the socket to the worker and back, is `stevedore_api.hot_path`.
"""

from collections.abc import Callable
from typing import Any

from stevedore_core.errors import (
    CallerError,
    EnvelopeInvalid,
    ModelUnknown,
    PredictorError,
    PredictorFailed,
)
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json, decode, encode

__all__ = ["envelope_payload", "predict", "run", "score"]


def predict(predictor: Predictor, body: bytes, *, envelope: bool = False) -> bytes:
    """Return the prediction for the payload in `body`, as JSON.

    Args:
        predictor: The model's Predictor.
        body: The payload as JSON, or with `envelope` the original's `{"predictor": …, "payload":
            …}`.
        envelope: Which of the two.

    Raises:
        BodyNotJson: The body is not strict JSON.
        EnvelopeInvalid: The envelope lacks a key.
        ModelUnknown: The envelope names another model.
        PayloadInvalid: The payload breaks the prediction schema.
        PredictorFailed: One of the Predictor's methods raised.
        OutputNotJson: What it returned cannot be written as JSON.
    """
    return run(predictor, predictor.predict, _payload(predictor, body, envelope=envelope))


def score(predictor: Predictor, body: bytes, *, envelope: bool = False) -> bytes:
    """Return the score on the labelled examples in `body`, as JSON. All else is as in `predict`."""
    return run(predictor, predictor.score, _payload(predictor, body, envelope=envelope))


def run(predictor: Predictor, method: Callable[[Json], Any], payload: Json) -> bytes:
    """Return what `method` makes of `payload` as JSON, and call whatever it raises by its name."""
    try:
        return encode(method(payload))
    except (CallerError, PredictorError):
        raise
    except BaseException as error:  # even SystemExit must cost one call, not the worker
        raise PredictorFailed(f"model `{predictor.name}` failed on this payload") from error


def envelope_payload(name: str, envelope: Json) -> Json:
    """Return the payload of an envelope addressed to the model `name`.

    Raises:
        EnvelopeInvalid: It is not an object with `predictor` and `payload`.
        ModelUnknown: It is addressed to another model.
    """
    if not isinstance(envelope, dict) or not {"predictor", "payload"} <= envelope.keys():
        raise EnvelopeInvalid('expected an object like {"predictor": "<model>", "payload": …}')
    if envelope["predictor"] != name:
        raise ModelUnknown("the envelope names another model than the one it was read for")
    return envelope["payload"]


def _payload(predictor: Predictor, body: bytes, *, envelope: bool) -> Json:
    value = decode(body)
    return envelope_payload(predictor.name, value) if envelope else value

"""The one tree of exceptions, used by every package.

::

    StevedoreError
    ├── CallerError             the request cannot be served as it was sent
    │   ├── BodyNotJson         the body is not strict JSON
    │   ├── EnvelopeInvalid     the body is JSON, but not {"predictor": …, "payload": …}
    │   ├── PayloadInvalid      the payload breaks the model's JSON Schema
    │   ├── ModelUnknown        no model of that name is served here
    │   ├── ParameterMissing    a query lacks a parameter it needs
    │   ├── ContentTypeRefused  the body is not declared as JSON, or is encoded
    │   ├── BodyTooLarge        the body is longer than this server reads
    │   ├── BodyTooSlow         the body did not arrive in time
    │   └── HostRefused         the header Host names another machine than the one listening
    ├── ServingError            not now; the same request may succeed later
    │   ├── ModelNotReady       the model is not loaded, or its self-test does not pass
    │   ├── ScorePending        the model's examples were not scored yet
    │   ├── QueueFull           too much waits already
    │   ├── DeadlinePassed      no answer came in time
    │   └── WorkerDied          the worker that held the request is gone
    ├── PredictorError          a valid payload, and the model has no answer
    │   ├── PredictorFailed     one of its methods raised
    │   └── OutputNotJson       what it returned cannot be written as JSON
    ├── PackageError            a model package cannot be used
    │   ├── ModelAbsent         nothing installed provides the model
    │   ├── ModelBroken         loading it raised
    │   ├── ModelWrongKind      it loads, but is not what the contract asks for
    │   ├── SchemaInvalid       a JSON Schema that does not compile
    │   ├── ExampleInvalid      a packaged example that its own schema refuses, or that is missing
    │   └── WeightsMismatch     weights that are not the recorded ones
    ├── DocumentInvalid         a manifest, lock or settings file that cannot be understood
    └── LayoutInvalid           what is installed in a layout is not what its lock says

Whoever can act on a class catches it; nobody else does. Status codes are api's business.
"""

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "BodyNotJson",
    "BodyTooLarge",
    "BodyTooSlow",
    "CallerError",
    "ContentTypeRefused",
    "DeadlinePassed",
    "DocumentInvalid",
    "EnvelopeInvalid",
    "ExampleInvalid",
    "HostRefused",
    "LayoutInvalid",
    "ModelAbsent",
    "ModelBroken",
    "ModelNotReady",
    "ModelUnknown",
    "ModelWrongKind",
    "OutputNotJson",
    "PackageError",
    "ParameterMissing",
    "PayloadInvalid",
    "PredictorError",
    "PredictorFailed",
    "QueueFull",
    "SchemaInvalid",
    "ScorePending",
    "ServingError",
    "StevedoreError",
    "Violation",
    "WeightsMismatch",
    "WorkerDied",
    "describe",
]


class StevedoreError(Exception):
    """Everything this project raises on purpose."""

    code: ClassVar[str] = "error"
    """The class for callers, logs and metrics, always made of its name: `body-not-json`."""

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class CallerError(StevedoreError):
    """The request cannot be served as it was sent."""


class BodyNotJson(CallerError):
    """The body is not strict JSON."""


class EnvelopeInvalid(CallerError):
    """The body is JSON, but not the envelope of model name and payload."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One place at which a payload breaks a schema: a JSON Pointer and a sentence."""

    pointer: str
    message: str


class PayloadInvalid(CallerError):
    """The payload breaks the model's JSON Schema."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        """Take the violations, first ones first; how many is the caller's choice."""
        self.violations = tuple(violations)
        listed = "; ".join(f"`{v.pointer}`: {v.message}" for v in self.violations)
        super().__init__(f"the payload does not fit the schema: {listed}")


class ModelUnknown(CallerError):
    """No model of that name is served here."""


class ParameterMissing(CallerError):
    """A query lacks a parameter it needs."""


class ContentTypeRefused(CallerError):
    """The body is not declared as JSON, or is encoded."""


class BodyTooLarge(CallerError):
    """The body is longer than this server reads."""


class BodyTooSlow(CallerError):
    """The body did not arrive in time."""


class HostRefused(CallerError):
    """The `Host` header names another machine than the one listening."""


class ServingError(StevedoreError):
    """Not now; the same request may succeed later."""


class ModelNotReady(ServingError):
    """The model is not loaded, or its self-test does not pass."""


class ScorePending(ServingError):
    """The model's examples were not scored yet."""


class QueueFull(ServingError):
    """Too much waits already."""


class DeadlinePassed(ServingError):
    """No answer came in time."""


class WorkerDied(ServingError):
    """The worker that held the request is gone."""


class PredictorError(StevedoreError):
    """A valid payload, and the model has no answer."""


class PredictorFailed(PredictorError):
    """One of the Predictor's methods raised."""


class OutputNotJson(PredictorError):
    """What the Predictor returned cannot be written as JSON."""


class PackageError(StevedoreError):
    """A model package cannot be used."""


class ModelAbsent(PackageError):
    """Nothing installed provides the model."""


class ModelBroken(PackageError):
    """Loading the model raised."""


class ModelWrongKind(PackageError):
    """The model loads, but is not what the contract asks for."""


class SchemaInvalid(PackageError):
    """A JSON Schema that does not compile."""


class ExampleInvalid(PackageError):
    """A packaged example that its own schema refuses, or that is missing."""


class WeightsMismatch(PackageError):
    """Weights that are not the recorded ones."""


class DocumentInvalid(StevedoreError):
    """A manifest, lock or settings file that cannot be understood."""


class LayoutInvalid(StevedoreError):
    """What is installed in a layout is not what its lock says."""


def describe(error: BaseException) -> str:
    """Return the class of `error` and what it says, also if its `__str__` or `__repr__` raises."""
    return "".join(traceback.format_exception_only(error)).strip()

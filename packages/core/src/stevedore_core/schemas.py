"""`Schema`: a JSON Schema, compiled once when a Predictor is made and asked for every payload.

The compiled validator has a closed resolver (nothing is ever fetched or read from a file) and a
regex engine whose time grows linearly with the text.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import jsonschema_rs
import msgspec

from stevedore_core.errors import PayloadInvalid, SchemaInvalid, Violation
from stevedore_core.fan_out import fan_out
from stevedore_core.json_pointers import pointer_of
from stevedore_core.number_arrays import Decoder, number_array_decoder
from stevedore_core.strict_json import MAX_CONTAINERS, Json, brackets_in, decode

__all__ = ["MAX_VIOLATIONS", "Schema"]

MAX_VIOLATIONS = 10
"""How many places of an invalid payload are listed."""

# Violations are collected before the first is handed out, each at the cost of a whole message for
# each subschema that looked; in a payload for which more may be made only the first is looked for.
_LIST_ALL_UP_TO_MESSAGES = 10_000
_FEW_BYTES = 2 * MAX_CONTAINERS
"""In no more than these there cannot be too many containers."""
_MAX_FAN_OUT = 4_096
_MAX_MESSAGE_CHARS = 200

# What these keywords say quotes keys of the payload, which no mask hides.
_QUOTING_KEYS = {
    "additionalProperties": "it has a property that the schema does not admit",
    "propertyNames": "the name of one of its properties does not fit the schema",
    "unevaluatedProperties": "it has a property that the schema does not admit",
}


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"`{uri}` lies outside this schema, and nothing is ever fetched")


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON Schema (draft-07, 2019-09 or, by default, 2020-12) ready to check payloads."""

    document: Json
    _validator: jsonschema_rs.Validator
    _list_all_up_to_values: int
    _decoder: Decoder | None
    """What reads and checks at once, for the schemas that have it."""

    @classmethod
    def compile(cls, document: Json, *, where: str) -> "Schema":
        """Compile `document`; `where` names it in messages.

        Raises:
            SchemaInvalid: It is not a JSON Schema, uses a pattern that the linear engine lacks
                (look-around, back-references), refers to anything outside itself, or branches so
                often that checking takes too long.
        """
        if not isinstance(document, dict | bool):
            raise SchemaInvalid(
                f"`{where}` must be a JSON Schema: expected an object or a boolean, "
                f"found `{type(document).__name__}`"
            )
        try:
            validator = jsonschema_rs.validator_for(
                document,
                retriever=_refuse,
                mask="the value",  # messages must not repeat what a caller sent
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except ValueError as error:
            reason = _why_unusable(error)
            raise SchemaInvalid(f"`{where}` is not a usable JSON Schema: {reason}") from error
        looking = fan_out(document)
        if looking > _MAX_FAN_OUT:
            raise SchemaInvalid(
                f"`{where}` is not a usable JSON Schema: {looking} of its subschemas may look at "
                f"one value, at most {_MAX_FAN_OUT} are checked in time; branch less often in "
                "`allOf`, `anyOf` and `oneOf`"
            )
        return cls(
            document=document,
            _validator=validator,
            _decoder=number_array_decoder(document),
            _list_all_up_to_values=_LIST_ALL_UP_TO_MESSAGES // looking,
        )

    def read(self, body: bytes) -> Json:
        """Return the payload that `body` holds, checked.

        Raises:
            BodyNotJson: It is not strict JSON.
            PayloadInvalid: As `check` does.
        """
        brackets = brackets_in(body) if len(body) > _FEW_BYTES else 0
        if self._decoder is not None and brackets <= MAX_CONTAINERS:
            with suppress(msgspec.MsgspecError):  # what is wrong, if anything, is told below
                return self._decoder.decode(body)
        payload = decode(body, brackets)
        self.check(payload)
        return payload

    def check(self, payload: Json) -> None:
        """Do nothing if `payload` fits.

        Raises:
            PayloadInvalid: It does not; with the first violations, at most `MAX_VIOLATIONS`.
        """
        if not self._validator.is_valid(payload):
            raise PayloadInvalid(self._violations(payload))

    def _violations(self, payload: Json) -> list[Violation]:
        if _holds_more_values_than(self._list_all_up_to_values, payload):
            try:
                self._validator.validate(payload)
            except jsonschema_rs.ValidationError as error:
                return [_violation(error)]
        errors = self._validator.iter_errors(payload)
        return [_violation(error) for error, _ in zip(errors, range(MAX_VIOLATIONS), strict=False)]


def _why_unusable(error: ValueError) -> str:
    if not isinstance(error, jsonschema_rs.ValidationError):
        return str(error)
    place = f"at `{pointer_of(error.instance_path)}`: " if error.instance_path else ""
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Format(format="regex"):
            return f"{place}not a pattern of linear time (no look-around, no back-references)"
    return f"{place}{error.message}"


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    message = _QUOTING_KEYS.get(error.kind.name, error.message)
    return Violation(pointer=pointer_of(error.instance_path), message=message[:_MAX_MESSAGE_CHARS])


def _holds_more_values_than(count: int, payload: Json) -> bool:
    """Count the values in `payload`, and stop early."""
    containers, values = [payload], 0
    while containers and values <= count:
        container = containers.pop()
        if isinstance(container, dict):
            container = list(container.values())
        if isinstance(container, list):
            values += len(container)
            containers += container
    return values > count

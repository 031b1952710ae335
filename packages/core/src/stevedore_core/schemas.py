"""`Schema`: a JSON Schema, compiled once when a Predictor is made and asked for every payload.

The compiled validator has a closed resolver (nothing is ever fetched or read from a file) and a
regex engine whose time grows linearly with the text.
"""

from dataclasses import dataclass
from typing import NoReturn

import jsonschema_rs

from stevedore_core.errors import PayloadInvalid, SchemaInvalid, Violation
from stevedore_core.strict_json import Json

__all__ = ["MAX_VIOLATIONS", "Schema"]

MAX_VIOLATIONS = 10
"""How many places of an invalid payload are listed."""

# Listing every violation visits the whole payload; beyond this many top-level items only the first
# is looked for.
_LIST_ALL_UP_TO_ITEMS = 1_000
_MAX_MESSAGE_CHARS = 200


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"`{uri}` lies outside this schema, and nothing is ever fetched")


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON Schema (draft-07, 2019-09 or, by default, 2020-12) ready to check payloads."""

    document: Json
    _validator: jsonschema_rs.Validator

    @classmethod
    def compile(cls, document: Json, *, where: str) -> "Schema":
        """Compile `document`; `where` names it in messages.

        Raises:
            SchemaInvalid: It is not a JSON Schema, uses a pattern that the linear engine lacks
                (look-around, back-references), or refers to anything outside itself.
        """
        try:
            validator = jsonschema_rs.validator_for(
                document,  # type: ignore[arg-type]  # what is no schema is refused, in words
                retriever=_refuse,
                mask="the value",  # messages must not repeat what a caller sent
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except ValueError as error:
            reason = str(error).split("\n", 1)[0]
            raise SchemaInvalid(f"`{where}` is not a usable JSON Schema: {reason}") from error
        return cls(document=document, _validator=validator)

    def check(self, payload: Json) -> None:
        """Do nothing if `payload` fits.

        Raises:
            PayloadInvalid: It does not; with the first violations, at most `MAX_VIOLATIONS`.
        """
        if not self._validator.is_valid(payload):
            raise PayloadInvalid(self._violations(payload))

    def _violations(self, payload: Json) -> list[Violation]:
        if isinstance(payload, list | dict) and len(payload) > _LIST_ALL_UP_TO_ITEMS:
            try:
                self._validator.validate(payload)
            except jsonschema_rs.ValidationError as error:
                return [_violation(error)]
        errors = self._validator.iter_errors(payload)
        return [_violation(error) for error, _ in zip(errors, range(MAX_VIOLATIONS), strict=False)]


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in error.instance_path)
    return Violation(
        pointer="".join(f"/{step}" for step in steps),
        message=error.message[:_MAX_MESSAGE_CHARS],
    )

"""Words of a JSON Schema that mean nothing: misspelt keywords and formats, which nobody refuses.

The conformance suite calls it: to a validator an unknown keyword is a comment.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types

from stevedore_core.strict_json import Json

__all__ = ["unknown_words"]

_FORMATS = (
    "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4",
    "ipv6", "iri", "iri-reference", "json-pointer", "regex", "relative-json-pointer", "time",
    "uri", "uri-reference", "uri-template", "uuid",
)  # fmt: skip
_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_BY_NAME = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
_ONE_SCHEMA = (
    "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_BESIDE = (
    "$anchor", "$comment", "$defs", "$dynamicAnchor", "$id", "$recursiveAnchor", "$schema",
    "$vocabulary", "contentEncoding", "contentMediaType", "contentSchema", "default", "definitions",
    "deprecated", "description", "else", "examples", "maxContains", "minContains", "readOnly",
    "then", "title", "writeOnly",
)  # fmt: skip
"""What a validator finds without looking for it."""
_OWN = "x-"
"""How a keyword of an author's own begins."""


def unknown_words(schema: Json) -> list[str]:
    """Return a sentence for each keyword or format that the schema's draft does not know.

    `schema` names its draft in `$schema`. Keywords that begin with `x-` are the author's own.
    """
    keywords = _keywords(jsonschema.validators.validator_for(schema))
    return [
        f"`{where}`: `{word}` is no {kind} of its draft{_meant(word, known)}"
        for where, kind, word, known in _words(schema, "", keywords)
        if word not in known
    ]


def _keywords(judge: Any) -> list[str]:
    """Return what a draft knows: what it checks, and what stands beside that."""
    return sorted({*judge.VALIDATORS, *_BESIDE})


def _words(
    schema: Json, where: str, keywords: list[str]
) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield place, kind and word of each keyword and format, and what is known of the kind."""
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        here = f"{where}/{key.replace('~', '~0').replace('/', '~1')}"
        if not key.startswith(_OWN):
            yield here, "keyword", key, keywords
        if key == "format" and isinstance(value, str):
            yield here, "format", value, list(_FORMATS)
        if key in _ONE_SCHEMA:
            yield from _words(value, here, keywords)
        if key in _OF_SCHEMAS and isinstance(value, list):
            for number, inner in enumerate(value):
                yield from _words(inner, f"{here}/{number}", keywords)
        if key in _BY_NAME and isinstance(value, dict):
            for name, inner in value.items():
                yield from _words(inner, f"{here}/{name}", keywords)


def _meant(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""

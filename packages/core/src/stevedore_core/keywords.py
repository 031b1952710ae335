"""The keywords of JSON Schema: what each draft knows, and what a keyword's value has to be.

Whoever takes a schema apart asks. A validator takes a keyword that it does not know for a comment.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from stevedore_core.json_pointers import escape
from stevedore_core.strict_json import Json

__all__ = [
    "DRAFTS",
    "EXPECTED",
    "FORMATS",
    "FOR_PEOPLE",
    "KINDS",
    "LATEST",
    "OF_SAME_VALUE",
    "REFERENCES",
    "TYPES",
    "TYPES_OF",
    "subschemas",
    "with_subschemas",
]

FOR_PEOPLE: Final = frozenset({"$comment", "default", "description", "examples", "title"})
"""What no payload is held against."""

REFERENCES: Final = ("$dynamicRef", "$recursiveRef", "$ref")

OF_SAME_VALUE: Final = (
    "allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then",
)  # fmt: skip
"""What holds schemas for the same value: what one does not say, another may."""

TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")

FORMATS: Final = (
    "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4",
    "ipv6", "iri", "iri-reference", "json-pointer", "regex", "relative-json-pointer", "time",
    "uri", "uri-reference", "uri-template", "uuid",
)  # fmt: skip

_ONE_SCHEMA: Final = (
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items",
    "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_MANY_SCHEMAS: Final = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_NAMED_SCHEMAS: Final = (
    "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties",
)  # fmt: skip

TYPES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
        ("number", "integer"),
    ),
    **dict.fromkeys(("maxLength", "minLength", "pattern"), ("string",)),
    **dict.fromkeys(
        (
            "additionalItems", "contains", "items", "maxContains", "maxItems", "minContains",
            "minItems", "prefixItems", "unevaluatedItems", "uniqueItems",
        ),
        ("array",),
    ),
    **dict.fromkeys(
        (
            "additionalProperties", "dependentRequired", "dependentSchemas", "maxProperties",
            "minProperties", "patternProperties", "properties", "propertyNames", "required",
            "unevaluatedProperties",
        ),
        ("object",),
    ),
}  # fmt: skip
"""By keyword: the only types that it says something about."""

KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveRef", "$ref",
            "$schema", "contentEncoding", "contentMediaType", "description", "format", "id",
            "pattern", "title",
        ),
        "text",
    ),
    **dict.fromkeys(
        (
            "maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems",
            "minLength", "minProperties",
        ),
        "count",
    ),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), "number"),
    **dict.fromkeys(
        ("$recursiveAnchor", "deprecated", "readOnly", "uniqueItems", "writeOnly"), "truth"
    ),
    **dict.fromkeys(_ONE_SCHEMA, "schema"),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "schemas"),
    **dict.fromkeys((*_NAMED_SCHEMAS, "$vocabulary", "dependentRequired"), "table"),
    "enum": "values",
    "examples": "array",
    "multipleOf": "step",
    "required": "names",
}  # fmt: skip
"""By keyword: what its value is. `const`, `default` and `type` are not here: the first two may be
anything, and the last is looked at more closely."""

_OLD: Final = frozenset(
    {
        "$defs", "$ref", "$schema", "additionalItems", "additionalProperties", "allOf", "anyOf",
        "default", "definitions", "dependencies", "description", "enum", "exclusiveMaximum",
        "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum",
        "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf",
        "pattern", "patternProperties", "properties", "required", "title", "type", "uniqueItems",
    }
)  # fmt: skip
_SIX: Final = _OLD | {"$id", "const", "contains", "examples", "propertyNames"}
_SEVEN: Final = _SIX | {
    "$comment", "contentEncoding", "contentMediaType", "else", "if", "readOnly", "then",
    "writeOnly",
}  # fmt: skip
_OF_2019: Final = (_SEVEN - {"dependencies"}) | {
    "$anchor", "$recursiveAnchor", "$recursiveRef", "$vocabulary", "contentSchema",
    "dependentRequired", "dependentSchemas", "deprecated", "maxContains", "minContains",
    "unevaluatedItems", "unevaluatedProperties",
}  # fmt: skip
_OF_2020: Final = (_OF_2019 - {"$recursiveAnchor", "$recursiveRef", "additionalItems"}) | {
    "$dynamicAnchor", "$dynamicRef", "prefixItems",
}  # fmt: skip

LATEST: Final = "https://json-schema.org/draft/2020-12/schema"

DRAFTS: Final[Mapping[str, frozenset[str]]] = {
    LATEST: _OF_2020,
    "https://json-schema.org/draft/2019-09/schema": _OF_2019,
    "http://json-schema.org/draft-07/schema": _SEVEN,
    "http://json-schema.org/draft-06/schema": _SIX,
    "http://json-schema.org/draft-04/schema": _OLD | {"id"},
}
"""The keywords of each draft, by what `$schema` says without a `#` at its end."""


def subschemas(schema: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield each schema that stands in a schema: its keyword, its pointer from there, itself."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key in _MANY_SCHEMAS and isinstance(value, list):
            yield from ((key, f"/{key}/{number}", inner) for number, inner in enumerate(value))
        elif key in _NAMED_SCHEMAS and isinstance(value, dict):
            yield from ((key, f"/{key}/{escape(name)}", inner) for name, inner in value.items())
        elif key in _ONE_SCHEMA:
            yield key, f"/{key}", value


def with_subschemas(schema: Mapping[str, Any], change: Callable[[Json], Json]) -> dict[str, Any]:
    """Return a schema in which each schema that stands in it is what `change` makes of it."""
    return {key: _changed(key, value, change) for key, value in schema.items()}


def _changed(key: str, value: Json, change: Callable[[Json], Json]) -> Json:
    if key in _MANY_SCHEMAS and isinstance(value, list):
        return [change(inner) for inner in value]
    if key in _NAMED_SCHEMAS and isinstance(value, dict):
        return {name: change(inner) for name, inner in value.items()}
    return change(value) if key in _ONE_SCHEMA else value


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Json) -> bool:
    return isinstance(value, int | float) and _is_number(value) and value >= 0 and value % 1 == 0


EXPECTED: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "array": ("an array", lambda value: isinstance(value, list)),
    "count": ("a whole number from 0 on", _is_count),
    "names": (
        "an array of names",
        lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    ),
    "number": ("a number", _is_number),
    "schema": ("a schema, which is an object or a boolean", lambda v: isinstance(v, dict | bool)),
    "schemas": (
        "an array of schemas, of one or more",
        lambda value: (
            isinstance(value, list)
            and bool(value)
            and all(isinstance(item, dict | bool) for item in value)
        ),
    ),
    "step": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "table": ("an object", lambda value: isinstance(value, dict)),
    "text": ("a text", lambda value: isinstance(value, str)),
    "truth": ("`true` or `false`", lambda value: isinstance(value, bool)),
    "values": (
        "an array of values, of one or more",
        lambda value: isinstance(value, list) and bool(value),
    ),
}
"""By kind: how to say what is expected, and whether a value is it."""

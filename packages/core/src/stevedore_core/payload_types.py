"""The JSON Schemas of the types that a model package declares in `payloads.py`.

The conformance suite holds the schema files against them, and `ml-stevedore schemas` writes those:
`python -m stevedore_core.payload_types <model>`. A worker reads the files only.
"""

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from inspect import cleandoc
from typing import Annotated, Any

import msgspec

from stevedore_core.arrays import ARRAY_KEY
from stevedore_core.discovery import package_of
from stevedore_core.errors import ModelBroken, PackageError, SchemaInvalid, describe
from stevedore_core.json_types import TypeRead, read_type
from stevedore_core.keywords import LATEST, with_subschemas
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json, objects_in

__all__ = ["NAMES", "declared_schemas", "schema_of"]

_MODULE = "payloads"
"""The module of a model package that declares types, if there is one."""

NAMES = {"PredictPayload": "predict.schema.json", "ScorePayload": "score.schema.json"}
"""By the name of a type in that module: the file that its schema is written to."""

_TITLES = {"PredictPayload": "Payload", "ScorePayload": "Labelled examples"}
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
_FIRST = (
    "$schema",
    "title",
    "description",
    "type",
    "enum",
    "const",
    *("minItems", "maxItems", "minLength", "maxLength", "pattern"),
    *_BOUNDS,
    *("required", "additionalProperties", "properties", "prefixItems", "items"),
)
"""What people look for, in the order in which they read; the rest follows by name."""
_AS_DECLARED = (
    *("contains", "contentSchema", "dependencies", "dependentSchemas", "if", "then", "else"),
    "unevaluatedItems",
)
"""What no type makes: its author wrote it, and closed it would mean something else."""
_DEFINITIONS = "#/$defs/"
_MOST_EXACT = 2**53
"""Up to here each integer is a float."""


def declared_schemas(model: str) -> dict[str, Json]:
    """Return, by file name, the schemas that an installed model package declares by types.

    Raises:
        ModelAbsent: Nothing installed provides the model.
        ModelBroken: Importing its package raised.
        SchemaInvalid: It declares what has no schema, or nothing under the names in `NAMES`.
    """
    module = f"{package_of(model)}.{_MODULE}"
    try:
        if find_spec(module) is None:
            return {}
        declared = vars(import_module(module))
    except PackageError:
        raise
    except Exception as error:
        raise ModelBroken(f"importing `{module}` raised `{describe(error)}`") from error
    if not NAMES.keys() & declared.keys():
        names = " or ".join(f"`{name}`" for name in NAMES)
        raise SchemaInvalid(f"`{module}` must declare {names}, found neither")
    return {
        file: schema_of(declared[name], name=name, where=module)
        for name, file in NAMES.items()
        if name in declared
    }


def schema_of(kind: Any, *, name: str, where: str) -> Json:
    """Return the JSON Schema of a type; an object admits the keys of its class and no other.

    `name` is what the module `where` calls it. Raises `SchemaInvalid`.
    """
    if isinstance(kind, msgspec.Meta):  # what `array` returns, alone
        kind = Annotated[Any, kind]
    read = read_type(kind, name)
    if read.objections:
        said = "; ".join(read.objections)
        raise SchemaInvalid(f"`{where}` declares what has no JSON Schema: {said}")
    try:
        if read.is_of_pydantic:  # only who declares such a model has it; then it is imported
            raw = sys.modules["pydantic"].TypeAdapter(kind).json_schema()
        else:
            raw = msgspec.json.schema(kind)
    except (TypeError, ValueError, RuntimeError) as error:  # pydantic's own are among the last two
        reason = str(error).partition("\n\nFor further information")[0]
        raise SchemaInvalid(f"`{where}`: `{name}` has no JSON Schema: {reason}") from error
    document = _Writing(raw, read).document(title=_TITLES.get(name, name))
    Schema.compile(document, where=f"{where}: {name}")
    return document


class _Writing:
    """Makes of what msgspec or pydantic gives what a person would have written by hand."""

    def __init__(self, raw: dict[str, Any], read: TypeRead) -> None:
        self._raw = raw
        self._orders = read.orders
        self._definitions: Mapping[str, Any] = raw.get("$defs", {})
        references = [part.get("$ref") for part in objects_in(raw)]
        self._used_once = {
            name for name in self._definitions if references.count(_DEFINITIONS + name) == 1
        }

    def document(self, *, title: str) -> dict[str, Json]:
        root = self._written({key: value for key, value in self._raw.items() if key != "$defs"})
        shared = {
            name: self._written(schema)
            for name, schema in sorted(self._definitions.items())
            if name not in self._used_once
        }
        document = {"$schema": LATEST, "title": title, **root}
        return _ordered(document) | ({"$defs": shared} if shared else {})

    def _written(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        schema = _tidied(self._inlined(schema))
        if "properties" in schema:
            schema = self._closed(schema)
        declared = {key: schema[key] for key in _AS_DECLARED if key in schema}
        return _ordered(with_subschemas(schema, self._written) | declared)

    def _closed(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Admit no key that a class lacks, and put its keys into their order."""
        properties, required = schema["properties"], schema.pop("required", [])
        order = self._orders.get(frozenset(properties), properties)  # msgspec may sort them
        return {
            "additionalProperties": False,
            **schema,
            **({"required": [name for name in order if name in required]} if required else {}),
            "properties": {name: properties[name] for name in order},
        }

    def _inlined(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Put a definition where it is used, if it is used in one place only."""
        name = str(schema.get("$ref", "")).removeprefix(_DEFINITIONS)
        if name not in self._used_once:
            return dict(schema)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return self._inlined({**self._definitions[name], **beside})


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """Return one schema, without those inside, as it is meant for people."""
    schema.pop("discriminator", None)  # OpenAPI's: the branches tell themselves apart
    if ARRAY_KEY in schema:
        schema = _as_array(schema)
    if "description" in schema:
        schema["description"] = cleandoc(schema["description"])
    for key in schema.keys() & {*_BOUNDS}:
        schema[key] = _whole(schema[key])
    return schema


def _as_array(schema: dict[str, Any]) -> dict[str, Any]:
    """Take what `array` declares for what was made of the type beside it, which says less."""
    declared = schema[ARRAY_KEY]
    beside = {key: schema[key] for key in schema.keys() - {ARRAY_KEY, "type", "items"}}
    said = [part["description"] for part in (beside, declared) if "description" in part]
    return {**declared, **beside, **({"description": " ".join(said)} if said else {})}


def _whole(bound: float) -> float:
    """Return 1 for 1.0: to `typing`, which keeps types it made, the two are the same bound."""
    is_exact = isinstance(bound, float) and bound.is_integer() and abs(bound) < _MOST_EXACT
    return int(bound) if is_exact else bound


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    rank = {key: number for number, key in enumerate(_FIRST)}
    return {key: schema[key] for key in sorted(schema, key=lambda k: (rank.get(k, len(rank)), k))}


def main(model: str) -> str:
    """Return the declared schemas by file name, or what is wrong, as one line of JSON."""
    try:
        return json.dumps({"schemas": declared_schemas(model)})
    except PackageError as error:
        return json.dumps({"error": str(error)})


if __name__ == "__main__":  # pragma: no cover  # in a process of its own
    print(main(*sys.argv[1:]))  # noqa: T201  # build reads the last line

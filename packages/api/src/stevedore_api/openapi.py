"""The OpenAPI document: FastAPI's routes, and each model's paths with its own JSON Schema.

A model's schema is copied into the components and its references are rewritten. A schema that names
itself or its parts (`$id`, `$anchor`, `$dynamicRef`, …) or follows another draft cannot be moved
that way; then the document links to it where the author's file is served.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stevedore_api import problems
from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_core.keywords import LATEST, with_subschemas
from stevedore_core.strict_json import Json

__all__ = ["REQUIRED", "document"]

REQUIRED = "x-required"
"""Says in FastAPI's schema of a parameter that the route refuses to do without it by itself."""
_UNMOVABLE = frozenset({"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary"})

_PROBLEMS = {
    problems.STATUS[code]: problems.TITLES[code]
    for code in (
        "body-not-json",
        "model-unknown",
        "body-too-slow",
        "body-too-large",
        "content-type-refused",
        "payload-invalid",
        "queue-full",
        "predictor-failed",
        "worker-died",
        "model-not-ready",
        "deadline-passed",
    )
}
"""What predict and score answer when they do not answer; of several with one status, the usual."""

_COMPONENTS = "#/components/schemas/"
_PROBLEM_CONTENT = {problems.MEDIA_TYPE: {"schema": {"$ref": f"{_COMPONENTS}Problem"}}}


class _UnmovableError(Exception):
    """The schema works only where it stands."""


def document(general: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Add the models' paths to the general document that FastAPI made of its own routes.

    Args:
        general: FastAPI's document; its paths with `{name}` become one path for each model, those
            with `{version}` one for each version of a model that has several.
        catalogue: The models; those that are loaded bring their schemas.
    """
    components: dict[str, Any] = {"Problem": _PROBLEM_SCHEMA}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for model in catalogue:
        for place, label in _places(model, catalogue):
            for verb, summary in (("predict", "Predict"), ("score", "Score labelled examples")):
                operation = _model_operation(model, verb, summary, components)
                operation["operationId"] = f"{verb}_{label}"
                paths[f"{_path(place, model)}/{verb}"]["post"] = operation
            for path, item in general["paths"].items():
                if path.startswith(place) and ("{version}" in path) == ("{version}" in place):
                    operation = _reading_operation(item["get"], model.key, catalogue.names)
                    operation["operationId"] += f"_{label}"
                    paths[_path(path, model)]["get"] = operation
    for verb in ("predict", "score"):
        paths[f"/{verb}"]["post"] = _envelope_operation(catalogue, verb)
    for path, item in general["paths"].items():
        if "{name}" not in path:
            paths[path]["get"] = _reading_operation(item["get"], None, catalogue.names)
    tags = [{"name": m.key, "description": f"Model {m.name} {m.version}"} for m in catalogue]
    return {
        "openapi": "3.1.0",
        "info": general["info"],
        "tags": [*tags, *({"name": name} for name in ("all models", "health", "catalogue"))],
        "paths": dict(paths),
        "components": {"schemas": components},
    }


def _places(model: ServedModel, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Return below which paths a model is shown, and what makes operations there unique."""
    if model is catalogue[model.name]:
        yield "/models/{name}", model.name
    if len(catalogue.versions(model.name)) > 1:
        yield "/models/{name}/versions/{version}", f"{model.name}.{model.version}"


def _path(template: str, model: ServedModel) -> str:
    return template.replace("{name}", model.name).replace("{version}", model.version)


def _model_operation(
    model: ServedModel, verb: str, summary: str, components: dict[str, Any]
) -> dict[str, Any]:
    """Describe predict or score of one model, and put its schema into the components."""
    examples: dict[str, Any] = {}
    if model.loaded is not None:
        key = _key(model, verb)
        components[key] = _movable(model, verb, prefix=f"{_COMPONENTS}{key}")
        examples = {"packaged": {"value": model.said(f"{verb}_example")}}
    return {
        "tags": [model.key],
        "summary": summary,
        **_exchanged(verb, _reference(model, verb), examples),
    }


def _key(model: ServedModel, verb: str) -> str:
    return f"{model.key.replace('@', '.')}.{verb}"


def _reference(model: ServedModel, verb: str) -> dict[str, str]:
    """Return what stands for a model's schema: all is allowed while it is not known."""
    return {} if model.loaded is None else {"$ref": f"{_COMPONENTS}{_key(model, verb)}"}


def _reading_operation(
    general: Mapping[str, Any], tag: str | None, names: Sequence[str]
) -> dict[str, Any]:
    """Tidy what FastAPI made of a route that only reads; below a tag of its own if one is given."""
    parameters = [p for p in general.get("parameters", ()) if p["in"] == "query"]
    return {
        "tags": [tag] if tag else general["tags"],
        "summary": general["description"].rstrip("."),
        "operationId": general["operationId"],
        "parameters": [_parameter(parameter, names) for parameter in parameters],
        "responses": {
            "200": {
                "description": "What was asked for",
                "content": {kind: {} for kind in general["responses"]["200"]["content"]},
            },
            "default": {"description": "A problem", "content": _PROBLEM_CONTENT},
        },
    }


def _parameter(general: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Tidy what FastAPI made of a parameter of a query; what stands for a model is one's name."""
    return {
        "name": general["name"],
        "in": "query",
        "description": general["description"],
        "required": general["schema"].get(REQUIRED, False),
        "schema": {"type": "string"} | ({"enum": names} if general["name"] == "model" else {}),
    }


def _envelope_operation(catalogue: Catalogue, verb: str) -> dict[str, Any]:
    models = [catalogue[name] for name in catalogue.names]
    examples = {
        model.name: {"value": {"predictor": model.name, "payload": model.said(f"{verb}_example")}}
        for model in models
        if model.loaded is not None
    }
    schema = {
        "type": "object",
        "required": ["predictor", "payload"],
        "properties": {"predictor": {"enum": catalogue.names}, "payload": {}},
        "anyOf": [
            {"properties": {"predictor": {"const": model.name}, "payload": _reference(model, verb)}}
            for model in models
        ],
    }
    return {
        "tags": ["all models"],
        "summary": f"{verb.capitalize()} with the model that the envelope names",
        "operationId": f"{verb}_envelope",
        **_exchanged(verb, schema, examples),
    }


def _exchanged(
    verb: str, schema: Mapping[str, Any], examples: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Describe what predict or score is sent, and what it answers."""
    content = {"schema": schema, "examples": examples}
    returned = {"description": f"What {verb} returned", "content": {"application/json": {}}}
    refusals = {
        str(status): {"description": title, "content": _PROBLEM_CONTENT}
        for status, title in _PROBLEMS.items()
    }
    return {
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"200": returned, **refusals},
    }


def _movable(model: ServedModel, verb: str, *, prefix: str) -> Json:
    """Return the author's schema as it reads under `prefix`, or a link to it."""
    schema = model.said(f"{verb}_schema")
    try:
        return _rewritten(schema, prefix)
    except _UnmovableError:
        url = f"/models/{model.key.replace('@', '/versions/')}/{verb}_schema"
        return {
            "description": f"The schema cannot be shown in place: see `{url}`.",
            "externalDocs": {"url": url},
        }


def _rewritten(schema: Json, prefix: str) -> Json:
    if not isinstance(schema, dict):
        return schema
    if not _UNMOVABLE.isdisjoint(schema) or schema.get("$schema", LATEST) != LATEST:
        raise _UnmovableError
    moved = with_subschemas(schema, lambda subschema: _rewritten(subschema, prefix))
    moved.pop("$schema", None)
    if isinstance(reference := moved.get("$ref"), str):
        if reference != "#" and not reference.startswith("#/"):
            raise _UnmovableError
        moved["$ref"] = prefix + reference.removeprefix("#")
    return moved


_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A problem as RFC 9457 defines it.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "violations": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "required": ["pointer", "message"],
                "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}

"""The OpenAPI document: valid, with each model's own schema where it can stand there."""

from typing import Any

import jsonschema_rs
import pytest
from assembled import catalogue_of, exposition_of
from fastapi import FastAPI
from served_layout import Server

from stevedore_api import openapi
from stevedore_api.health import Health
from stevedore_api.routes import routers
from stevedore_api.settings import Settings
from stevedore_core.strict_json import Json

PREFIX = "#/components/schemas/a.predict"


def document_of(predict_schema: Json) -> dict[str, Any]:
    """Return the document of one loaded model `a` and one, `b`, that is not loaded yet."""
    said: dict[str, Json] = {
        "predict_schema": predict_schema,
        "score_schema": {"type": "array"},
        "predict_example": {"x": 1},
        "score_example": [1],
    }
    catalogue = catalogue_of({"a": said, "b": None})
    health = Health(catalogue, Settings.read({}), "all", {})
    app = FastAPI(title="sample 1.0.0", version="1.0.0")
    for router in routers(catalogue, health, {}, exposition_of(catalogue)):
        app.include_router(router)
    return openapi.document(app.openapi(), catalogue)


def shown(predict_schema: Json) -> Any:
    """Return how the document shows a model's schema."""
    return document_of(predict_schema)["components"]["schemas"]["a.predict"]


def references(node: Any) -> list[str]:
    """Return every reference below a part of the document."""
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for value in node.values() for found in references(value)]


def resolve(document: Any, reference: str) -> Any:
    """Return what a reference of the document names."""
    place = document
    for step in reference.removeprefix("#/").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        place = place[int(key)] if isinstance(place, list) else place[key]
    return place


def test_the_document_is_valid(shared: Server) -> None:
    """It is OpenAPI 3.1 by that specification's own JSON Schema."""
    validator = pytest.importorskip("openapi_spec_validator", reason="it is not installed")
    validator.validate(shared.get("/openapi.json").json())


def test_every_reference_leads_somewhere(shared: Server) -> None:
    """Nothing in the document points outside it or into nothing."""
    document = shared.get("/openapi.json").json()
    found = references(document)
    assert len(found) > 10
    for reference in found:
        assert reference.startswith("#/components/schemas/")
        resolve(document, reference)


def test_operations_are_told_apart(shared: Server) -> None:
    """Every operation has an id of its own, a summary, and tags that are declared."""
    document = shared.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "sample 1.0.0", "version": "1.0.0"}
    operations = [op for item in document["paths"].values() for op in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) > 40
    assert all(operation["summary"] for operation in operations)
    declared = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in operations for tag in operation["tags"]} == declared
    assert declared == {"one", "two", "own", "all models", "health", "catalogue"}


def test_paths_are_written_out_for_each_model(shared: Server) -> None:
    """No path has a parameter: each model's paths stand under its own name."""
    document = shared.get("/openapi.json").json()
    paths = document["paths"]
    assert not [path for path in paths if "{" in path]
    assert set(paths["/models/one/score"]) == {"get", "post"}
    assert set(paths["/models/one/predict"]) == {"post"}
    assert set(paths["/score"]) == {"get", "post"}
    for path, item in paths.items():
        assert not [
            p for op in item.values() for p in op.get("parameters", ()) if p["in"] != ("query")
        ], path
    per_model = {
        name: [p for p in paths if p.startswith(f"/models/{name}")]
        for name in (
            "one",
            "two",
        )
    }
    assert [p.replace("/one", "/two") for p in per_model["one"]] == per_model["two"]


@pytest.mark.parametrize("name", ["one", "two", "own"])
def test_a_model_shows_its_schema_and_its_packaged_example(shared: Server, name: str) -> None:
    """`Try it out` works at once: the example stands there, fits the schema, and is answered."""
    document = shared.get("/openapi.json").json()
    for verb in ("predict", "score"):
        path = f"/models/{name}/{verb}"
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": f"#/components/schemas/{name}.{verb}"}
        schema = resolve(document, content["schema"]["$ref"])
        assert schema == shared.get(f"/models/{name}/{verb}_schema").json()
        example = content["examples"]["packaged"]["value"]
        jsonschema_rs.validate(schema, example)
        assert shared.post(path, example).status_code == 200
        envelope = document["paths"][f"/{verb}"]["post"]["requestBody"]["content"]
        example = envelope["application/json"]["examples"][name]["value"]
        whole = envelope["application/json"]["schema"] | {"components": document["components"]}
        jsonschema_rs.validate(whole, example)
        assert shared.post(f"/{verb}", example).status_code == 200


def test_a_problem_is_what_the_document_says(shared: Server) -> None:
    """The schema of problems holds for those that are sent."""
    document = shared.get("/openapi.json").json()
    schema = document["components"]["schemas"]["Problem"]
    for answer in (
        shared.post("/models/one/predict", 1),
        shared.get("/version"),
        shared.get("/models/none"),
        shared.get("/nothing"),
    ):
        jsonschema_rs.validate(schema, answer.json())
    responses = document["paths"]["/models/one/predict"]["post"]["responses"]
    assert set(responses) == set("200 400 404 408 413 415 422 429 500 502 503 504".split())  # noqa: SIM905  # legible


def test_references_inside_a_schema_are_rewritten() -> None:
    """A schema of definitions that refer to each other and to the whole keeps its meaning."""
    schema: Json = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"n": {"type": "integer"}, "tree": {"items": {"$ref": "#"}}},
        "properties": {
            "x": {"$ref": "#/$defs/n"},
            "$ref": {"type": "string"},
            "y": {"anyOf": [{"$ref": "#/$defs/tree"}, {"not": {"$ref": "#/$defs/n"}}]},
        },
        "const": {"$ref": "#/$defs/n", "$id": "data, not a schema"},
        "additionalProperties": {"$ref": "#/properties/x"},
        "unevaluatedItems": False,
    }
    assert shown(schema) == {
        "$defs": {"n": {"type": "integer"}, "tree": {"items": {"$ref": PREFIX}}},
        "properties": {
            "x": {"$ref": f"{PREFIX}/$defs/n"},
            "$ref": {"type": "string"},
            "y": {
                "anyOf": [
                    {"$ref": f"{PREFIX}/$defs/tree"},
                    {"not": {"$ref": f"{PREFIX}/$defs/n"}},
                ]
            },
        },
        "const": {"$ref": "#/$defs/n", "$id": "data, not a schema"},
        "additionalProperties": {"$ref": f"{PREFIX}/properties/x"},
        "unevaluatedItems": False,
    }


def test_a_recursive_schema_still_means_the_same() -> None:
    """What the author's schema takes and refuses, the one in the document does too."""
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["value"],
        "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}},
    }
    moved = {"$ref": PREFIX, "components": document_of(schema)["components"]}
    for payload in ({"value": 1, "next": {"value": 2}}, {"value": 1, "next": {}}, {}, 1):
        assert jsonschema_rs.is_valid(moved, payload) == jsonschema_rs.is_valid(schema, payload)


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "https://example.com/a"},
        {"items": {"$id": "a"}},
        {"$defs": {"x": {"$anchor": "x"}}},
        {"$dynamicAnchor": "x"},
        {"allOf": [{"$dynamicRef": "#x"}]},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"$schema": "https://json-schema.org/draft/2019-09/schema"},
        {"properties": {"x": {"$ref": "#x"}}},
        {"properties": {"x": {"$ref": "other.json"}}},
        {"if": {"$vocabulary": {}}},
    ],
)
def test_a_schema_that_cannot_be_moved_is_linked(schema: Json) -> None:
    """It works only where it stands, so the document says where that is."""
    url = "/models/a/predict_schema"
    assert shown(schema) == {
        "description": f"The schema cannot be shown in place: see `{url}`.",
        "externalDocs": {"url": url},
    }


@pytest.mark.parametrize("schema", [True, False, {}])
def test_the_smallest_schemas(schema: Json) -> None:
    """A schema may be as little as a yes or a no."""
    assert shown(schema) == schema


def test_a_model_that_is_not_loaded_yet() -> None:
    """Its paths stand there; its schema and example follow."""
    document = document_of({})
    operation = document["paths"]["/models/b/predict"]["post"]
    assert operation["requestBody"]["content"] == {
        "application/json": {"schema": {}, "examples": {}}
    }
    assert "b.predict" not in document["components"]["schemas"]
    envelope = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert envelope["schema"]["properties"]["predictor"] == {"enum": ["a", "b"]}
    assert envelope["schema"]["anyOf"] == [
        {"properties": {"predictor": {"const": "a"}, "payload": {"$ref": PREFIX}}},
        {"properties": {"predictor": {"const": "b"}, "payload": {}}},
    ]
    assert set(envelope["examples"]) == {"a"}


def test_parameters() -> None:
    """A model is asked for by one of the names, and by one at all where nothing else is meant."""
    paths = document_of({})["paths"]
    model = {
        "name": "model",
        "in": "query",
        "description": "The model's name.",
        "required": False,
        "schema": {"type": "string", "enum": ["a", "b"]},
    }
    verbose = {
        "name": "verbose",
        "in": "query",
        "description": "Given: an object per model with reasons.",
        "required": False,
        "schema": {"type": "string"},
    }
    assert paths["/readyz"]["get"]["parameters"] == [model, verbose]
    assert paths["/models/a/readyz"]["get"]["parameters"] == [verbose]
    assert paths["/version"]["get"]["parameters"] == [model | {"required": True}]

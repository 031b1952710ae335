"""Every route but predict and score, before and after the models are loaded."""

import re
from pathlib import Path

import httpx
import pytest
from assembled import SILENT, catalogue_of, exposition_of
from fastapi.routing import APIRoute
from served_layout import Json, MakeLayout, Model, Serve, Server, obedient

from stevedore_api.docs_page import docs_router
from stevedore_api.health import Health
from stevedore_api.hot_path import HotPath
from stevedore_api.memory_watch import MemoryWatch
from stevedore_api.metrics import Metrics
from stevedore_api.routes import routers
from stevedore_api.settings import Settings

ROUTES = [
    "GET",
    "/composition",
    "GET",
    "/created",
    "GET",
    "/creation_time",
    "GET",
    "/docs",
    "GET",
    "/docs/favicon.png",
    "GET",
    "/docs/swagger-ui-bundle.js",
    "GET",
    "/docs/swagger-ui.css",
    "GET",
    "/health",
    "GET",
    "/health/live",
    "GET",
    "/health/ready",
    "GET",
    "/health/uptime",
    "GET",
    "/healthz",
    "GET",
    "/list",
    "GET",
    "/livez",
    "GET",
    "/metrics",
    "GET",
    "/models",
    "GET",
    "/models/{name}",
    "GET",
    "/models/{name}/created",
    "GET",
    "/models/{name}/creation_time",
    "GET",
    "/models/{name}/healthz",
    "GET",
    "/models/{name}/livez",
    "GET",
    "/models/{name}/predict_schema",
    "GET",
    "/models/{name}/readyz",
    "GET",
    "/models/{name}/score",
    "GET",
    "/models/{name}/score_schema",
    "GET",
    "/models/{name}/version",
    "GET",
    "/models/{name}/versions",
    "GET",
    "/predict_schema",
    "GET",
    "/readyz",
    "GET",
    "/score",
    "GET",
    "/score_schema",
    "GET",
    "/version",
    "POST",
    "/models/{name}/predict",
    "POST",
    "/models/{name}/score",
    "POST",
    "/predict",
    "POST",
    "/score",
]
ALL_ROUTES = list(zip(ROUTES[::2], ROUTES[1::2], strict=True))
PLACE = "/models/{name}"
ALL_ROUTES += [
    (method, path.replace(PLACE, f"{PLACE}/versions/{{version}}"))
    for method, path in ALL_ROUTES
    if path.startswith(PLACE) and not path.endswith("/versions")
]
READING = [path for method, path in ALL_ROUTES if method == "GET"]

ANY = {"type": "object", "required": ["do"], "properties": {"value": {}, "do": {"type": "string"}}}


def test_routes_are_these() -> None:
    """No route comes into being unnoticed: none loads, removes or configures anything."""
    catalogue = catalogue_of({"{name}": None}, version="{version}")
    settings = Settings.read({})
    health = Health(catalogue, settings, "all", {})
    served = (*routers(catalogue, health, {}, exposition_of(catalogue)), docs_router(""))
    routes = [route for router in served for route in router.routes]
    assert all(isinstance(route, APIRoute) for route in routes)
    found = {
        (method, route.path)
        for route in routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    hot_path = HotPath(catalogue, settings, SILENT, Metrics([]), MemoryWatch(None, 1))
    found |= {("POST", target.path) for target in hot_path.targets.values()}
    assert sorted(found) == sorted(ALL_ROUTES)


@pytest.mark.parametrize("path", READING)
def test_a_trailing_slash_makes_no_difference(shared: Server, path: str) -> None:
    """Every route answers at once with and without it, never by sending elsewhere."""
    path = path.replace("{name}", "one").replace("{version}", "1.0.0")
    for spelled in (path, f"{path}/"):
        answer = shared.client.get(spelled, params={"model": "one"}, follow_redirects=False)
        assert answer.status_code == 200
        assert answer.headers["content-type"] != "text/plain"


def loaded_model(server: Server) -> dict[str, Json]:
    """Return the entry of the model `one`, whose creation time is its worker's."""
    entry: dict[str, Json] = server.get("/models/one").json()
    created = entry["created"]
    assert isinstance(created, str)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", created)
    return entry


def test_the_catalogue(shared: Server) -> None:
    """The models stand with what is known of them; the bare values are the entry's."""
    entry = loaded_model(shared)
    assert entry == {
        "name": "one",
        "version": "1.0.0",
        "environment": "default",
        "created": entry["created"],
        "predict_schema": ANY,
        "score_schema": {"type": "array"},
    }
    assert shared.get("/list").json() == ["one", "two", "own"]
    entries = shared.get("/models").json()
    assert [item["name"] for item in entries] == ["one", "two", "own"]
    assert entries[0] == entry
    assert shared.get("/models/one/versions").json() == ["1.0.0"]
    for path, key in (
        ("version", "version"),
        ("created", "created"),
        ("creation_time", "created"),
        ("predict_schema", "predict_schema"),
        ("score_schema", "score_schema"),
    ):
        assert shared.get(f"/{path}?model=one").json() == entry[key]
        assert shared.get(f"/{path}/?model=one").json() == entry[key]
        assert shared.get(f"/models/one/{path}").json() == entry[key]


def test_health_when_all_is_well(shared: Server) -> None:
    """The words are the original's; `verbose` gives an object per model."""
    for path in ("/livez", "/health/live", "/models/one/livez"):
        assert shared.get(path).json() == "LIVE"
    ready = ("/readyz", "/healthz", "/health/ready", "/models/one/readyz", "/models/one/healthz")
    for path in (*ready, "/readyz?model=one", "/healthz?model=one", "/health/ready/?model=one"):
        assert shared.get(path).json() == "READY"
    passed = {"ready": True, "reason": "passed"}
    for query in ("verbose", "verbose=1", "verbose="):
        report = dict.fromkeys(("one", "two", "own"), passed)
        assert shared.get(f"/readyz?{query}").json() == report
        assert shared.get(f"/readyz?model=one&{query}").json() == {"one": passed}
        assert shared.get(f"/models/one/readyz?{query}").json() == {"one": passed}
    summary = shared.get("/health").json()
    assert 0 < summary.pop("uptime") <= shared.get("/health/uptime").json()
    ready_by_name = dict.fromkeys(("one", "two", "own"), True)
    assert summary == {"live": True, "ready": ready_by_name}


def test_scores(shared: Server) -> None:
    """The scores on the packaged examples come with direction, number of examples and age."""
    expected = [
        {"name": "accuracy", "value": 0.5, "direction": "higher"},
        {"name": "loss", "value": 2.0, "direction": "lower"},
    ]
    one = shared.get("/models/one/score").json()
    assert (one["scores"], one["n"]) == (expected, 2)
    assert one["age_s"] > 0
    scores = shared.get("/score").json()
    assert {name: said["scores"] for name, said in scores.items()} == dict.fromkeys(
        ("one", "two", "own"), expected
    )


def test_the_composition(shared: Server) -> None:
    """What runs here is told with the digests that prove it, and no path of the machine."""
    answer = shared.get("/composition")
    said = answer.json()
    assert re.fullmatch("[0-9a-f]{64}", said.pop("lock_sha256"))
    assert said == {
        "name": "sample",
        "version": "1.0.0",
        "python": "3.11",
        "base": None,
        "models": [
            {
                "name": name,
                "version": "1.0.0",
                "environment": "default",
                "distribution": f"stevedore-model-{name}",
                "sha256": "2" * 64,
            }
            for name in ("one", "two", "own")
        ],
        "wheels": [
            {"distribution": f"ml-py-stevedore-{name}", "version": "0.1.0", "sha256": "1" * 64}
            for name in ("core", "api")
        ],
        "environments": said["environments"],
    }
    assert [item["name"] for item in said["environments"]] == ["front", "default"]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


@pytest.mark.parametrize(("method", "path"), [r for r in ALL_ROUTES if "{name}" in r[1]])
def test_an_unknown_model_is_404(shared: Server, method: str, path: str) -> None:
    """Whatever is asked of a model that is not here, the answer says so."""
    for name in ("none", "ONE", "one%20", "one%2f..%2ftwo", "é", "x" * 5_000):
        answer = shared.client.request(method, path.replace("{name}", name), json=1)
        assert refusal(answer) in {(404, "model-unknown"), (404, "path-unknown")}
    assert refusal(shared.client.request(method, path.replace("{name}", "no"), json=1)) == (
        404,
        "model-unknown",
    )


WITH_QUERY = ("/version", "/created", "/creation_time", "/predict_schema", "/score_schema")


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/health/ready", *WITH_QUERY])
def test_an_unknown_model_in_a_query_is_404(shared: Server, path: str) -> None:
    """A query means the same as a path."""
    for name in ("none", ""):
        assert refusal(shared.get(f"{path}?model={name}")) == (404, "model-unknown")


@pytest.mark.parametrize("path", WITH_QUERY)
def test_a_query_without_a_model_is_422(shared: Server, path: str) -> None:
    """The problem says how to ask."""
    answer = shared.get(path)
    assert refusal(answer) == (422, "parameter-missing")
    assert answer.json()["detail"] == f"say which model: `{path}?model=<name>`"


@pytest.mark.parametrize("path", sorted({path for _, path in ALL_ROUTES}))
def test_another_method_is_405(shared: Server, path: str) -> None:
    """A path says which methods it takes."""
    allowed = sorted(method for method, other in ALL_ROUTES if other == path)
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"} - {*allowed}:
        for spelled in (path, f"{path}/"):
            answer = shared.client.request(method, spelled.replace("{name}", "one"))
            assert answer.status_code == 405
            assert answer.headers["allow"] == ", ".join(allowed)
            if method != "HEAD":
                assert refusal(answer) == (405, "method-refused")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "//livez",
        "/livez//",
        "/LIVEZ",
        "/models/one/nothing",
        "/models/one/predict/x",
        "/redoc",
        "/docs/oauth2-redirect",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/static/x",
        "/metrics/x",
    ],
)
def test_another_path_is_404(shared: Server, path: str) -> None:
    """What is no route is a problem like any other."""
    for method in ("GET", "POST"):
        assert refusal(shared.client.request(method, path)) == (404, "path-unknown")


@pytest.fixture
def gated(make_layout: MakeLayout, serve: Serve, tmp_path: Path) -> tuple[Server, Path]:
    """A server whose model `slow` loads once a file exists, and that file; `one` is loaded."""
    gate = tmp_path / "gate"
    wait = f"""
import time
from pathlib import Path
while not Path({str(gate)!r}).exists():
    time.sleep(0.01)
"""
    layout = make_layout(
        one=Model(source=obedient("one")), slow=Model(source=wait + obedient("slow"), workers=1)
    )
    server = serve(layout)
    server.wait_until("/models/one/readyz")
    return server, gate


def test_before_a_model_is_loaded(gated: tuple[Server, Path]) -> None:
    """What only its worker knows is 503 or null; the rest answers, and so do other models."""
    server, gate = gated
    for path in ("/livez", "/models/slow/livez", "/models/slow/version", "/composition", "/list"):
        assert server.get(path).status_code == 200
    assert server.get("/health").json()["ready"] == {"one": True, "slow": False}
    for path, detail in (
        ("/readyz", "Predictor(s) not ready"),
        ("/healthz", "Predictor(s) not ready"),
        ("/health/ready", "Predictor(s) not ready"),
        ("/health/ready?model=slow", "NOT_READY"),
        ("/models/slow/readyz", "NOT_READY"),
        ("/models/slow/created", "model `slow` is not loaded"),
        ("/predict_schema?model=slow", "model `slow` is not loaded"),
        ("/models/slow/score_schema", "model `slow` is not loaded"),
    ):
        answer = server.get(path)
        assert refusal(answer) == (503, "model-not-ready")
        assert answer.json()["detail"] == detail
        assert answer.headers["retry-after"] == "1"
    assert refusal(server.get("/models/slow/score")) == (503, "score-pending")
    server.wait_until("/score")
    scores = server.get("/score").json()
    assert scores["slow"] == {"pending": "model `slow` was not scored yet"}
    assert scores["one"]["scores"] == server.get("/models/one/score").json()["scores"]
    assert refusal(server.post("/models/slow/predict", 1)) == (503, "model-not-ready")
    envelope = {"predictor": "slow", "payload": 1}
    assert refusal(server.post("/predict", envelope)) == (503, "model-not-ready")
    waiting = {"ready": False, "reason": "loading"}
    assert server.get("/models/slow/readyz?verbose").json() == {"slow": waiting}
    assert server.get("/models").json()[1] == {
        "name": "slow",
        "version": "1.0.0",
        "environment": "default",
        "created": None,
        "predict_schema": None,
        "score_schema": None,
    }
    assert server.post("/models/one/predict", {"do": "echo", "value": 1}).json() == 1
    operation = server.get("/openapi.json").json()["paths"]["/models/slow/predict"]["post"]
    assert operation["requestBody"]["content"]["application/json"] == {"schema": {}, "examples": {}}

    gate.touch()
    server.wait_until("/readyz")
    server.wait_until_scored()
    document = server.get("/openapi.json").json()
    operation = document["paths"]["/models/slow/predict"]["post"]
    shown = operation["requestBody"]["content"]["application/json"]
    assert shown["schema"] == {"$ref": "#/components/schemas/slow.predict"}
    assert document["components"]["schemas"]["slow.predict"] == ANY
    assert server.get("/openapi.json").json() == document

"""Every route but predict and score: health, catalogue, composition.

They only read what `Health`, `Catalogue` and the lock hold. `app` strips trailing slashes before.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from stevedore_api.catalogue import Catalogue
from stevedore_api.health import Health
from stevedore_core.errors import ModelNotReady, ModelUnknown, ParameterMissing
from stevedore_core.strict_json import Json, encode

__all__ = ["catalogue_router", "composition_router", "health_router", "model_health_router"]

_ModelQuery = Annotated[str | None, Query(alias="model", description="The model's name.")]
_Verbose = Annotated[str | None, Query(description="Given: an object per model with reasons.")]


class _JsonResponse(Response):
    """JSON as the hot path writes it."""

    media_type = "application/json"

    def __init__(self, content: Json, status_code: int = 200) -> None:
        super().__init__(encode(content), status_code)


def health_router(catalogue: Catalogue, health: Health) -> APIRouter:
    """Return the routes that say whether this process works."""
    router = APIRouter(tags=["health"])

    async def live() -> Response:
        """Tell that this process answers."""
        return _JsonResponse("LIVE")

    async def ready(model: _ModelQuery = None, verbose: _Verbose = None) -> Response:
        """Tell whether the models, or one, are loaded and pass their self-tests."""
        if model is not None:
            return _readiness(health, catalogue[model].name, is_verbose=verbose is not None)
        if verbose is not None:
            return _JsonResponse(health.report(), 200 if health.is_all_ready else 503)
        if not health.is_all_ready:
            raise ModelNotReady("Predictor(s) not ready")
        return _JsonResponse("READY")

    async def summary() -> Response:
        """Tell all at once; always 200."""
        names = catalogue.names
        return _JsonResponse(
            {
                "live": True,
                "ready": {name: health.is_ready(name) for name in names},
                "uptime": health.uptime_s,
            }
        )

    async def uptime() -> Response:
        """Tell for how many seconds this process has served."""
        return _JsonResponse(health.uptime_s)

    for path in ("/livez", "/health/live"):
        router.add_api_route(path, live, name=path)
    for path in ("/readyz", "/healthz", "/health/ready"):
        router.add_api_route(path, ready, name=path)
    router.add_api_route("/health", summary)
    router.add_api_route("/health/uptime", uptime)
    return router


def model_health_router(catalogue: Catalogue, health: Health) -> APIRouter:
    """Return the routes that say whether one model works."""
    router = APIRouter(tags=["health"])

    async def model_live(name: str) -> Response:
        """Tell that this process answers and knows the model."""
        catalogue[name]
        return _JsonResponse("LIVE")

    async def model_ready(name: str, verbose: _Verbose = None) -> Response:
        """Tell whether one model is loaded and passes its self-test."""
        return _readiness(health, catalogue[name].name, is_verbose=verbose is not None)

    router.add_api_route("/models/{name}/livez", model_live)
    for path in ("/models/{name}/readyz", "/models/{name}/healthz"):
        router.add_api_route(path, model_ready, name=path)
    return router


def _readiness(health: Health, name: str, *, is_verbose: bool) -> Response:
    if is_verbose:
        report = health.report()[name]
        return _JsonResponse({name: report}, 200 if health.is_ready(name) else 503)
    if not health.is_ready(name):
        raise ModelNotReady("NOT_READY")
    return _JsonResponse("READY")


def catalogue_router(catalogue: Catalogue, health: Health) -> APIRouter:
    """Return the routes that say what is served here, and how good it is."""
    router = APIRouter(tags=["catalogue"])

    async def names() -> Response:
        """List the names of the models."""
        return _JsonResponse([*catalogue.names])

    async def entries() -> Response:
        """List the models with version, creation time and schemas."""
        return _JsonResponse([model.entry() for model in catalogue])

    async def entry(name: str) -> Response:
        """Tell version, creation time and schemas of one model."""
        return _JsonResponse(catalogue[name].entry())

    async def versions(name: str) -> Response:
        """List the versions of one model that are served here."""
        return _JsonResponse([catalogue[name].version])

    async def scores() -> Response:
        """Tell the scores of all models on their packaged examples."""
        return _JsonResponse({name: health.scores(name) for name in catalogue.names})

    async def score(name: str) -> Response:
        """Tell the scores of one model on its packaged examples."""
        return _JsonResponse(health.scores(catalogue[name].name))

    async def unknown() -> Response:
        """Refuse: every known model's path is answered before."""
        raise ModelUnknown("no model of that name is served here; `/list` names all")

    router.add_api_route("/list", names)
    router.add_api_route("/models", entries)
    router.add_api_route("/models/{name}", entry)
    router.add_api_route("/models/{name}/versions", versions)
    router.add_api_route("/score", scores)
    router.add_api_route("/models/{name}/score", score)
    for verb in ("predict", "score"):
        router.add_api_route(
            f"/models/{{name}}/{verb}", unknown, methods=["POST"], include_in_schema=False
        )
    for path, key in (
        ("version", "version"),
        ("created", "created"),
        ("creation_time", "created"),
        ("predict_schema", "predict_schema"),
        ("score_schema", "score_schema"),
    ):
        _add_value(router, catalogue, path, key)
    return router


def _add_value(router: APIRouter, catalogue: Catalogue, path: str, key: str) -> None:
    """Serve one bare value of a model, at `/<path>?model=` and at `/models/<name>/<path>`."""

    def value(name: str) -> Response:
        model = catalogue[name]
        return _JsonResponse(model.version if key == "version" else model.said(key))

    async def by_query(model: _ModelQuery = None) -> Response:
        if model is None:
            raise ParameterMissing(f"say which model: `/{path}?model=<name>`")
        return value(model)

    async def by_path(name: str) -> Response:
        return value(name)

    what = f"Tell the {path.replace('_', ' ')} of one model."
    router.add_api_route(f"/{path}", by_query, description=what, name=path)
    router.add_api_route(f"/models/{{name}}/{path}", by_path, description=what, name=path)


def composition_router(composition: Json) -> APIRouter:
    """Return the route that says what runs here, by the lock."""
    router = APIRouter(tags=["catalogue"])

    @router.get("/composition")
    async def shown() -> Response:
        """Tell name, version, digest of the lock, models with hashes, environments, base."""
        return _JsonResponse(composition)

    return router

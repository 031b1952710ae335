"""Every route but predict and score: health, catalogue, composition, metrics.

They only read what `Health`, `Catalogue` and the lock hold. `app` strips trailing slashes before.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.exposition import MEDIA_TYPE, Exposition
from stevedore_api.health import Health
from stevedore_api.openapi import REQUIRED
from stevedore_core.errors import ModelNotReady, ParameterMissing, ScorePending
from stevedore_core.strict_json import Json, encode

__all__ = ["routers"]

_PLACES = ("/models/{name}", "/models/{name}/versions/{version}")
"""Below which paths a model is: without a version it is the default one."""

_ModelQuery = Annotated[str | None, Query(alias="model", description="The model's name.")]
_NeededModelQuery = Annotated[
    str | None,
    Query(alias="model", description="The model's name.", json_schema_extra={REQUIRED: True}),
]
_Verbose = Annotated[str | None, Query(description="Given: an object per model with reasons.")]


class _JsonResponse(JSONResponse):
    """JSON as the hot path writes it."""

    def render(self, content: Json) -> bytes:
        """Return the body (called by Starlette)."""
        return encode(content)


def routers(
    catalogue: Catalogue, health: Health, composition: Mapping[str, Json], exposition: Exposition
) -> Iterator[APIRouter]:
    """Return all these routes, in the order in which the document lists them."""
    yield _health_router(catalogue, health)
    yield _model_health_router(catalogue, health)
    yield _catalogue_router(catalogue, health)
    yield _inventory_router(composition, exposition)


def _health_router(catalogue: Catalogue, health: Health) -> APIRouter:
    """Return the routes that say whether this process works."""
    router = APIRouter(tags=["health"])

    async def live() -> Response:
        """Tell that this process answers."""
        return _JsonResponse("LIVE")

    async def ready(model: _ModelQuery = None, verbose: _Verbose = None) -> Response:
        """Tell whether the models, or one, are loaded and pass their self-tests."""
        if model is not None:
            return _readiness(health, catalogue[model], is_verbose=verbose is not None)
        if verbose is not None:
            return _JsonResponse(health.report(), 200 if health.is_all_ready else 503)
        if not health.is_all_ready:
            raise ModelNotReady("Predictor(s) not ready")
        return _JsonResponse("READY")

    async def summary() -> Response:
        """Tell all at once; always 200."""
        return _JsonResponse(
            {
                "live": True,
                "ready": {key: health.is_ready(key) for key in health.models},
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


def _model_health_router(catalogue: Catalogue, health: Health) -> APIRouter:
    """Return the routes that say whether one model works."""
    router = APIRouter(tags=["health"])

    async def model_live(request: Request) -> Response:
        """Tell that this process answers and knows the model."""
        _asked(catalogue, request)
        return _JsonResponse("LIVE")

    async def model_ready(request: Request, verbose: _Verbose = None) -> Response:
        """Tell whether one model is loaded and passes its self-test."""
        return _readiness(health, _asked(catalogue, request), is_verbose=verbose is not None)

    for place in _PLACES:
        router.add_api_route(f"{place}/livez", model_live, name=f"{place}/livez")
        for path in (f"{place}/readyz", f"{place}/healthz"):
            router.add_api_route(path, model_ready, name=path)
    return router


def _asked(catalogue: Catalogue, request: Request) -> ServedModel:
    """Return the model that a path names. Raises `ModelUnknown`."""
    name, version = request.path_params["name"], request.path_params.get("version")
    return catalogue[name] if version is None else catalogue.version(name, version)


def _readiness(health: Health, model: ServedModel, *, is_verbose: bool) -> Response:
    key = model.key
    if is_verbose:
        return _JsonResponse({key: health.report()[key]}, 200 if health.is_ready(key) else 503)
    if not health.is_ready(key):
        raise ModelNotReady("NOT_READY")
    return _JsonResponse("READY")


def _catalogue_router(catalogue: Catalogue, health: Health) -> APIRouter:
    """Return the routes that say what is served here, and how good it is."""
    router = APIRouter(tags=["catalogue"])

    async def names() -> Response:
        """List the names of the models."""
        return _JsonResponse([*catalogue.names])

    async def entries() -> Response:
        """List the models with version, creation time and schemas."""
        return _JsonResponse([model.entry() for model in catalogue])

    async def entry(request: Request) -> Response:
        """Tell version, creation time and schemas of one model."""
        return _JsonResponse(_asked(catalogue, request).entry())

    async def versions(name: str) -> Response:
        """List the versions of one model that are served here, the default one first."""
        return _JsonResponse([model.version for model in catalogue.versions(name)])

    async def scores() -> Response:
        """Tell the scores of all models on their packaged examples, and which are pending."""
        if not any(model.scores for model in health.models.values()):
            raise ScorePending("no model was scored yet")
        return _JsonResponse({key: _scores_or_reason(health, key) for key in health.models})

    async def score(request: Request) -> Response:
        """Tell the scores of one model on its packaged examples."""
        return _JsonResponse(health.scores(_asked(catalogue, request).key))

    router.add_api_route("/list", names)
    router.add_api_route("/models", entries)
    router.add_api_route("/models/{name}/versions", versions)
    router.add_api_route("/score", scores)
    for place in _PLACES:
        router.add_api_route(place, entry, name=place)
        router.add_api_route(f"{place}/score", score, name=f"{place}/score")
    for path, key in (
        ("version", "version"),
        ("created", "created"),
        ("creation_time", "created"),
        ("predict_schema", "predict_schema"),
        ("score_schema", "score_schema"),
    ):
        _add_value(router, catalogue, path, key)
    _add_refusals(router, catalogue)
    return router


def _add_value(router: APIRouter, catalogue: Catalogue, path: str, key: str) -> None:
    """Serve one bare value of a model, at `/<path>?model=` and at `/models/<name>/<path>`."""

    def value(model: ServedModel) -> Response:
        return _JsonResponse(model.version if key == "version" else model.said(key))

    async def by_query(model: _NeededModelQuery = None) -> Response:
        if model is None:
            raise ParameterMissing(f"say which model: `/{path}?model=<name>`")
        return value(catalogue[model])

    async def by_path(request: Request) -> Response:
        return value(_asked(catalogue, request))

    what = f"Tell the {path.replace('_', ' ')} of one model."
    router.add_api_route(f"/{path}", by_query, description=what, name=path)
    for place in _PLACES:
        router.add_api_route(f"{place}/{path}", by_path, description=what, name=f"{place}/{path}")


def _scores_or_reason(health: Health, key: str) -> dict[str, Json]:
    try:
        return health.scores(key)
    except ScorePending as error:
        return {"pending": str(error)}


def _add_refusals(router: APIRouter, catalogue: Catalogue) -> None:
    """Answer predict and score for models that are not here; for others the hot path answers."""

    async def refuse(request: Request) -> None:
        _asked(catalogue, request)

    for place in _PLACES:
        for path in (f"{place}/predict", f"{place}/score"):
            router.add_api_route(path, refuse, methods=["POST"], include_in_schema=False)


def _inventory_router(composition: Mapping[str, Json], exposition: Exposition) -> APIRouter:
    """Return the routes that say what runs here by the lock, and what was counted."""
    router = APIRouter()

    @router.get("/composition", tags=["catalogue"])
    async def shown() -> Response:
        """Tell name, version, digest of the lock, models with hashes, environments, base."""
        return _JsonResponse(composition)

    @router.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Tell what was counted and measured, for Prometheus."""
        return Response(exposition.text(), media_type=MEDIA_TYPE)

    return router

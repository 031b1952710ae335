"""`App`: the ASGI application of one layout, put together from its parts.

What asks a served model to predict or score never comes here: `http_protocol` gives it to the hot
path. All else goes through FastAPI.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from stevedore_api import openapi, problems
from stevedore_api.access_log import AccessLog
from stevedore_api.catalogue import Catalogue
from stevedore_api.docs_page import docs_router
from stevedore_api.exposition import Exposition
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.hot_path import HOST_REFUSED, RETRY_STATUSES, HotPath
from stevedore_api.metrics import Metrics
from stevedore_api.request_head import is_local, request_id, trace_id
from stevedore_api.routes import (
    catalogue_router,
    composition_router,
    health_router,
    metrics_router,
    model_health_router,
)
from stevedore_api.settings import Settings
from stevedore_core.errors import StevedoreError
from stevedore_core.strict_json import Json, encode

__all__ = ["App"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)

_METHODS = ("GET", "POST")
"""Whatever a path takes is among these."""


class App:
    """The ASGI application."""

    def __init__(  # noqa: PLR0913  # its parts
        self,
        *,
        catalogue: Catalogue,
        groups: tuple[WorkerGroup, ...],
        health: Health,
        hot_path: HotPath,
        composition: Mapping[str, Json],
        settings: Settings,
        metrics: Metrics,
        exposition: Exposition,
        access_log: AccessLog,
    ) -> None:
        self._access_log = access_log
        self._catalogue = catalogue
        self._groups = groups
        self._health = health
        self.hot_path = hot_path
        self._composition = composition
        self._metrics = metrics
        self._exposition = exposition
        self.settings = settings
        self._is_loopback = settings.is_loopback
        self._document: bytes | None = None
        self._fastapi = self._routed()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (called by uvicorn)."""
        if scope["type"] != "http":
            await self._fastapi(scope, receive, send)
            return
        started = time.perf_counter()
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            path = scope["path"] = path[:-1]
            scope["raw_path"] = scope["raw_path"][:-1]
        identity = scope["stevedore.request_id"] = request_id(scope["headers"])
        status = await self._answer(scope, receive, send, identity)
        duration_s = time.perf_counter() - started
        self._metrics.note_answer("other", None, status, None, duration_s)
        self._access_log.note(
            request_id=identity,
            method=scope["method"],
            path=path,
            status=status,
            duration_s=duration_s,
            model=None,
            trace_id=trace_id(scope["headers"]),
        )

    async def _answer(self, scope: Scope, receive: Receive, send: Send, identity: str) -> int:
        """Answer, and return the status of what was answered."""
        if self._is_loopback and not is_local(scope["headers"]):
            status, body = problems.problem_of(HOST_REFUSED, request_id=identity)
            refusal = Response(body, status, {"x-request-id": identity}, problems.MEDIA_TYPE)
            await refusal(scope, receive, send)
            return status
        statuses = [500]  # what an exception comes to that FastAPI did not answer
        try:
            noting = _noting(send, statuses, identity, closes=self._health.is_draining)
            await self._fastapi(scope, receive, noting)
        except Exception:  # noqa: BLE001  # the outermost handler; FastAPI has answered
            _log.exception("request %s", identity)
        return statuses[-1]

    def drain(self) -> None:
        """Say no more that this process is ready: it is about to stop."""
        self._health.is_draining = self.hot_path.is_draining = True

    @property
    def is_hopeless(self) -> bool:
        """True if no model is loaded, however often it was tried."""
        return bool(self._groups) and all(group.is_hopeless for group in self._groups)

    def kill_workers(self) -> None:
        """End all workers at once: this process is about to end itself."""
        for group in self._groups:
            group.kill()

    def _routed(self) -> FastAPI:
        title = f"{self._composition['name']} {self._composition['version']}"
        app = FastAPI(
            title=title,
            version=str(self._composition["version"]),
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        app.include_router(health_router(self._catalogue, self._health))
        app.include_router(model_health_router(self._catalogue, self._health))
        app.include_router(catalogue_router(self._catalogue, self._health))
        app.include_router(composition_router(dict(self._composition)))
        app.include_router(metrics_router(self._exposition))
        app.include_router(docs_router(title))
        app.add_api_route("/openapi.json", self._openapi, include_in_schema=False)
        app.add_exception_handler(HTTPException, self._answer_http_error)
        app.add_exception_handler(StevedoreError, _answer_error)
        app.add_exception_handler(Exception, _answer_error)
        return app

    async def _answer_http_error(self, request: Request, _: Exception) -> Response:
        """Answer what the router refuses: no such path, or not with this method."""
        request_id = request.scope["stevedore.request_id"]
        if allowed := [m for m in _METHODS if self._takes(m, request.scope)]:
            status, body = problems.method_refused(request_id=request_id)
            return Response(body, status, {"allow": ", ".join(allowed)}, problems.MEDIA_TYPE)
        status, body = problems.path_unknown(request_id=request_id)
        return Response(body, status, None, problems.MEDIA_TYPE)

    def _takes(self, method: str, scope: Scope) -> bool:
        """Tell whether the path takes the method, be it in the hot path or in FastAPI's routes."""
        if method == "POST" and scope["path"] in self.hot_path.targets:
            return True
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] == Match.FULL for route in self._fastapi.router.routes)

    async def _openapi(self) -> Response:
        """Return the document; it is kept once every model brought its schemas."""
        if self._document is None:
            is_complete = self._catalogue.is_complete
            content = encode(
                openapi.document(
                    self._fastapi.openapi(),
                    self._catalogue,
                    title=self._fastapi.title,
                    version=self._fastapi.version,
                )
            )
            if not is_complete:
                return Response(content, media_type="application/json")
            self._document = content
        return Response(self._document, media_type="application/json")

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        for group in self._groups:
            group.start()
        self.hot_path.memory.start()
        try:
            yield
        finally:
            self.hot_path.memory.stop()
            self._health.stop()
            for group in self._groups:
                await group.stop()


def _noting(send: Send, statuses: list[int], identity: str, *, closes: bool) -> Send:
    """Return a `send` that appends the status to `statuses`, and adds the headers of ours."""
    added = [(b"x-request-id", identity.encode())]
    if closes:
        added.append((b"connection", b"close"))

    async def noted(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return noted


async def _answer_error(request: Request, error: Exception) -> Response:
    status, body = problems.problem_of(error, request_id=request.scope["stevedore.request_id"])
    headers = {"retry-after": "1"} if status in RETRY_STATUSES else None
    return Response(body, status, headers, problems.MEDIA_TYPE)

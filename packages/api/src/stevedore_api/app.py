"""`App`: the ASGI application of one layout, put together from its parts.

What asks a served model to predict or score never comes here: `http_protocol` gives it to the hot
path. All else goes through FastAPI.
"""

import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from stevedore_api import openapi, problems
from stevedore_api.access_log import AccessLog
from stevedore_api.catalogue import Catalogue
from stevedore_api.docs_page import docs_router
from stevedore_api.exposition import Exposition
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.hot_path import HOST_REFUSED, RETRY_STATUSES, HotPath
from stevedore_api.memory_watch import MemoryWatch
from stevedore_api.metrics import Metrics
from stevedore_api.request_head import is_local, request_id, trace_id
from stevedore_api.routes import routers
from stevedore_api.settings import Settings
from stevedore_core.errors import StevedoreError
from stevedore_core.strict_json import Json, encode

__all__ = ["App"]

_log = logging.getLogger(__name__)

_METHODS = ("GET", "POST")
"""Whatever a path takes is among these."""


@dataclass(eq=False, kw_only=True)
class App:
    """The ASGI application, and the parts that it is made of."""

    catalogue: Catalogue
    groups: Sequence[WorkerGroup]
    health: Health
    memory: MemoryWatch
    hot_path: HotPath
    composition: Mapping[str, Json]
    settings: Settings
    metrics: Metrics
    exposition: Exposition
    access_log: AccessLog

    def __post_init__(self) -> None:
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
        self.metrics.note_answer("other", None, status, None, duration_s)
        self.access_log.note(
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
        if self.settings.is_loopback and not is_local(scope["headers"]):
            status, body = problems.problem_of(HOST_REFUSED, request_id=identity)
            refusal = Response(body, status, {"x-request-id": identity}, problems.MEDIA_TYPE)
            await refusal(scope, receive, send)
            return status
        statuses = [500]  # what an exception comes to that FastAPI did not answer
        try:
            noting = _noting(send, statuses, identity, closes=self.health.is_draining)
            await self._fastapi(scope, receive, noting)
        except Exception:  # noqa: BLE001  # the outermost handler; FastAPI has answered
            _log.exception("request %s", identity)
        return statuses[-1]

    def drain(self) -> None:
        """Say no more that this process is ready: it is about to stop."""
        self.health.is_draining = self.hot_path.is_draining = True

    @property
    def is_hopeless(self) -> bool:
        """True if no model is loaded, however often it was tried."""
        return bool(self.groups) and all(group.is_hopeless for group in self.groups)

    def kill_workers(self) -> None:
        """End all workers at once: this process is about to end itself."""
        for group in self.groups:
            group.kill()

    def _routed(self) -> FastAPI:
        title = f"{self.composition['name']} {self.composition['version']}"
        app = FastAPI(
            title=title,
            version=str(self.composition["version"]),
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        for router in routers(self.catalogue, self.health, self.composition, self.exposition):
            app.include_router(router)
        app.include_router(docs_router(title))
        app.add_api_route("/openapi.json", self._openapi, include_in_schema=False)
        app.add_exception_handler(HTTPException, self._answer_http_error)
        app.add_exception_handler(StevedoreError, _answer_error)
        app.add_exception_handler(Exception, _answer_error)
        return app

    async def _answer_http_error(self, request: Request, _: Exception) -> Response:
        """Answer what the router refuses: no such path, or not with this method."""
        if allowed := [m for m in _METHODS if self._takes(m, request.scope)]:
            code, headers = problems.METHOD_REFUSED, {"allow": ", ".join(allowed)}
            detail = "this path does not take this method; `/docs` shows which it takes"
        else:
            code, headers = problems.PATH_UNKNOWN, {}
            detail = "there is nothing at this path; `/docs` shows what there is"
        request_id = request.scope["stevedore.request_id"]
        status, body = problems.problem(code, detail, request_id=request_id)
        return Response(body, status, headers, problems.MEDIA_TYPE)

    def _takes(self, method: str, scope: Scope) -> bool:
        """Tell whether the path takes the method, be it in the hot path or in FastAPI's routes."""
        if method == "POST" and scope["path"].encode() in self.hot_path.targets:
            return True
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] == Match.FULL for route in self._fastapi.router.routes)

    async def _openapi(self) -> Response:
        """Return the document; it is kept once every model brought its schemas."""
        document = self._document
        if document is None:
            document = encode(openapi.document(self._fastapi.openapi(), self.catalogue))
            if self.catalogue.is_complete:
                self._document = document
        return Response(document, media_type="application/json")

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        for group in self.groups:
            group.start()
        self.health.start()
        self.memory.start()
        try:
            yield
        finally:
            self.memory.stop()
            self.health.stop()
            for group in self.groups:
                await group.stop()


def _noting(send: Send, statuses: list[int], identity: str, *, closes: bool) -> Send:
    """Return a `send` that appends the status to `statuses`, and adds the headers of ours."""
    added = [(b"x-request-id", identity.encode())]
    if closes:
        added.append((b"connection", b"close"))

    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return noted


async def _answer_error(request: Request, error: Exception) -> Response:
    status, body = problems.problem_of(error, request_id=request.scope["stevedore.request_id"])
    headers = {"retry-after": "1"} if status in RETRY_STATUSES else None
    return Response(body, status, headers, problems.MEDIA_TYPE)

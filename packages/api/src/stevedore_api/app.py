"""`App`: the ASGI application of one layout, put together from its parts.

Predict and score are answered ahead of FastAPI's router; everything else goes through it.
"""

import logging
import os
import re
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from stevedore_api import openapi, problems
from stevedore_api.access_log import log_request
from stevedore_api.catalogue import Catalogue
from stevedore_api.docs_page import docs_router
from stevedore_api.exposition import Exposition
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.hot_path import CLIENT_LEFT, Answer, HotPath, Receive, Scope, Send, Target
from stevedore_api.metrics import Metrics
from stevedore_api.routes import (
    catalogue_router,
    composition_router,
    health_router,
    metrics_router,
    model_health_router,
)
from stevedore_api.settings import Settings
from stevedore_core.errors import HostRefused, StevedoreError
from stevedore_core.strict_json import Json, encode

__all__ = ["App"]

_log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_OK = 200
_PROBLEM = problems.MEDIA_TYPE.encode()
_RETRY_STATUSES = frozenset({429, 503})
_LOOPBACK = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_HOST_REFUSED = HostRefused("this server listens on the loopback address only; ask for `localhost`")
_METHODS = ("GET", "POST")
"""What any path here takes."""


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
    ) -> None:
        self._catalogue = catalogue
        self._groups = groups
        self._health = health
        self._hot_path = hot_path
        self._composition = composition
        self._metrics = metrics
        self._exposition = exposition
        self.settings = settings
        self._is_loopback = settings.is_loopback
        self._document: bytes | None = None
        self._fastapi = self._routes()

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
        request_id = scope["stevedore.request_id"] = _request_id(scope)
        target = self._hot_path.targets.get(path) if scope["method"] == "POST" else None
        answer = await self._answer(target, scope, receive, send, request_id)
        duration_s = time.perf_counter() - started
        self._metrics.note_answer(
            target.operation if target is not None else "other",
            answer.model,
            answer.status,
            answer.reason,
            duration_s,
        )
        log_request(
            request_id=request_id,
            method=scope["method"],
            path=path,
            status=answer.status,
            duration_s=duration_s,
            model=answer.model,
        )

    async def _answer(
        self, target: Target | None, scope: Scope, receive: Receive, send: Send, request_id: str
    ) -> Answer:
        """Answer, and return what was answered."""
        if self._is_loopback and not _is_local(scope):
            answer = Answer(
                *problems.problem_of(_HOST_REFUSED, request_id=request_id),
                reason=_HOST_REFUSED.code,
            )
        elif target is not None:
            try:
                answer = await self._hot_path.answer(target, scope, receive, request_id)
            except Exception as error:  # noqa: BLE001  # the outermost handler
                _log.exception("request %s", request_id)
                status, body = problems.problem_of(error, request_id=request_id)
                answer = Answer(status, body, reason=problems.INTERNAL)
        else:
            answer = Answer(500, b"")
            try:
                closes = self._health.is_draining
                await self._fastapi(
                    scope, receive, _noting(send, answer, request_id, closes=closes)
                )
            except Exception:  # noqa: BLE001  # the same
                _log.exception("request %s", request_id)  # FastAPI has answered, and raises again
            return answer
        if answer.status != CLIENT_LEFT:
            answer.closes |= self._health.is_draining
            await _send(send, answer, request_id)
        return answer

    def drain(self) -> None:
        """Say no more that this process is ready: it is about to stop."""
        self._health.is_draining = True

    def kill_workers(self) -> None:
        """End all workers at once: this process is about to end itself."""
        for group in self._groups:
            group.kill()

    def _routes(self) -> FastAPI:
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
        if method == "POST" and scope["path"] in self._hot_path.targets:
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
        try:
            yield
        finally:
            self._health.stop()
            for group in self._groups:
                await group.stop()


def _request_id(scope: Scope) -> str:
    """Return the caller's request id if it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value).decode("ascii")
    return os.urandom(8).hex()


def _is_local(scope: Scope) -> bool:
    """Tell whether `Host` names this machine: a page elsewhere can make a browser send any name."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    name, _, port = host.lower().rpartition(b":")
    return (name if port.isdigit() else host.lower()) in _LOOPBACK


async def _send(send: Send, answer: Answer, request_id: str) -> None:
    headers = [
        (b"content-type", b"application/json" if answer.status == _OK else _PROBLEM),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", request_id.encode()),
    ]
    if answer.status in _RETRY_STATUSES:
        headers.append((b"retry-after", b"1"))
    if answer.closes:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _noting(send: Send, answer: Answer, request_id: str, *, closes: bool) -> Send:
    """Note the status that FastAPI sends, and add the request id and what ends a connection."""
    added = [(b"x-request-id", request_id.encode())]
    if closes:
        added.append((b"connection", b"close"))

    async def noted(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return noted


async def _answer_error(request: Request, error: Exception) -> Response:
    status, body = problems.problem_of(error, request_id=request.scope["stevedore.request_id"])
    headers = {"retry-after": "1"} if status in _RETRY_STATUSES else None
    return Response(body, status, headers, problems.MEDIA_TYPE)

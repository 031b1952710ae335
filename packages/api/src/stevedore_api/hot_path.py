"""Predict and score, from the socket to a worker and back: bytes in, admit, dispatch, bytes out.

`app` calls `HotPath.answer` ahead of FastAPI's router. The other half, from bytes to `run_predict`
and back, is `stevedore_core.calls`. What can be decided at start-up is decided in `__init__`.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from stevedore_api import problems
from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.settings import Settings
from stevedore_core.errors import (
    BodyNotJson,
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeRefused,
    EnvelopeInvalid,
    QueueFull,
    StevedoreError,
)
from stevedore_core.frames import Frame, Kind

__all__ = ["CLIENT_LEFT", "Answer", "HotPath", "Receive", "Scope", "Send", "Target"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON = b"application/json"
CLIENT_LEFT = 499
"""What log and metrics say when nobody waits for the answer any more."""
_LEFT = Frame(0, 0, 0, b"")
"""Stands for the answer to a call whose client left."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for. `model` is None where the envelope names it."""

    operation: str
    """What metrics call it."""
    kind: Kind
    model: ServedModel | None


@dataclass(slots=True)
class Answer:
    """What to send back. `closes` if the connection must end: the rest was not read, or we stop."""

    status: int
    body: bytes
    model: str | None = None
    closes: bool = False
    reason: str | None = None
    """The code of the problem, if it is one."""


class _Envelope(msgspec.Struct):
    """What the front reads of an envelope; the worker reads all of it, and more strictly."""

    predictor: str


class HotPath:
    """The paths that are answered here, and how."""

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        self._catalogue = catalogue
        self._max_body_bytes = settings.max_body_bytes
        self._body_deadline_s = settings.body_deadline_s
        self._max_queued_bytes = settings.max_queued_bytes
        self._arriving_bytes = 0
        self._envelope = msgspec.json.Decoder(_Envelope)
        self.targets: dict[str, Target] = {
            "/predict": Target("predict", Kind.PREDICT_ENVELOPE, None),
            "/score": Target("score", Kind.SCORE_ENVELOPE, None),
        }
        for model in catalogue:
            places = [f"/models/{model.name}/versions/{model.version}"]
            if model is catalogue[model.name]:
                places.append(f"/models/{model.name}")
            for place in places:
                self.targets[f"{place}/predict"] = Target("predict", Kind.PREDICT, model)
                self.targets[f"{place}/score"] = Target("score", Kind.SCORE, model)

    async def answer(
        self, target: Target, scope: Scope, receive: Receive, request_id: str
    ) -> Answer:
        """Return the answer to one request; its status is `CLIENT_LEFT` if nobody waits for it."""
        model = target.model
        is_read = False
        try:
            _check_headers(scope, self._max_body_bytes)
            body = await self._read(receive)
            if body is None:
                return Answer(CLIENT_LEFT, b"", model.key if model else None)
            is_read = True
            if model is None:
                model = self._catalogue[self._name(body)]
            called = model.group.submit(target.kind, model.number, body)
            frame = await (_watched(called, receive) if model.group.has_queue else called)
        except StevedoreError as error:
            status, text = problems.problem_of(error, request_id=request_id)
            key = model.key if model else None
            return Answer(status, text, key, closes=not is_read, reason=error.code)
        if frame is _LEFT:
            return Answer(CLIENT_LEFT, b"", model.key)
        if frame.kind == Kind.ANSWER:
            return Answer(200, frame.body, model.key)
        return _refused(frame, model.key, request_id)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the whole body; None if the client left."""
        try:
            async with asyncio.timeout(self._body_deadline_s):
                message = await receive()
                if not message.get("more_body"):  # the usual case: all of it at once
                    return self._within_limit(message.get("body"))
                return await self._read_pieces(message, receive)
        except TimeoutError:
            raise BodyTooSlow(f"no whole body within {self._body_deadline_s:g} s") from None

    async def _read_pieces(
        self, message: MutableMapping[str, Any], receive: Receive
    ) -> bytes | None:
        """Return a body that comes in pieces, of which all that are read may hold so much."""
        pieces = bytearray()
        try:
            while message["type"] != "http.disconnect":
                pieces += message["body"]
                self._arriving_bytes += len(message["body"])
                self._within_limit(pieces)
                if self._arriving_bytes > self._max_queued_bytes:
                    raise QueueFull("the requests that arrive just now hold too many bytes already")
                if not message["more_body"]:
                    return bytes(pieces)
                message = await receive()
        finally:
            self._arriving_bytes -= len(pieces)
        return None

    def _within_limit(self, body: bytes | bytearray | None) -> bytes | None:
        if body is not None and len(body) > self._max_body_bytes:
            raise BodyTooLarge(f"the body is longer than {self._max_body_bytes} bytes")
        return body  # type: ignore[return-value]  # uvicorn gives bytes; only the check sees more

    def _name(self, body: bytes) -> str:
        try:
            return self._envelope.decode(body).predictor
        except msgspec.ValidationError:
            raise EnvelopeInvalid(
                'expected an object like {"predictor": "<model>", "payload": …}'
            ) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise BodyNotJson("the body is not strict JSON") from None


async def _watched(called: asyncio.Future[Frame], receive: Receive) -> Frame:
    """Return the answer to a call that waits; `_LEFT`, and it never runs, if its client leaves."""
    watch = asyncio.create_task(_end_if_left(called, receive))
    try:
        return await called
    finally:
        watch.cancel()


async def _end_if_left(called: asyncio.Future[Frame], receive: Receive) -> None:
    await receive()  # after the whole body nothing can come but `http.disconnect`
    if not called.done():
        called.set_result(_LEFT)


def _check_headers(scope: Scope, max_body_bytes: int) -> None:
    """Refuse by the headers what need not be read."""
    content_type = b""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > max_body_bytes:
            raise BodyTooLarge(f"the body is longer than {max_body_bytes} bytes")
        if name == b"content-encoding" and value.lower() != b"identity":
            raise ContentTypeRefused("send the body as it is, without `Content-Encoding`")
        if name == b"content-type":
            content_type = value
    if content_type != _JSON and not _is_json(content_type):
        raise ContentTypeRefused(
            "send the body as JSON in UTF-8, with the header `Content-Type: application/json`"
        )


def _is_json(content_type: bytes) -> bool:
    media_type, *parameters = (part.strip() for part in content_type.lower().split(b";"))
    is_json = media_type == _JSON or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )
    charsets = {p.removeprefix(b"charset=").strip(b'"') for p in parameters if b"charset=" in p}
    return is_json and charsets <= {b"utf-8", b"utf8"}


def _refused(frame: Frame, model: str, request_id: str) -> Answer:
    said = orjson.loads(frame.body)
    code, detail = said.pop("code"), said.pop("detail")
    body = problems.problem(code, detail, request_id=request_id, **said)
    return Answer(problems.status_of(code), body, model, reason=code)

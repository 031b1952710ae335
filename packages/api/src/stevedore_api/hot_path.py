"""Predict and score, from the socket to a worker and back: bytes in, admit, dispatch, bytes out.

`http_protocol` makes an `Exchange` of each request for one of these paths, ahead of uvicorn's own
way to an ASGI application. The other half, from bytes to `run_predict` and back, is
`stevedore_core.calls`. What can be decided at start-up is decided in `HotPath.__init__`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import httptools
import msgspec
import orjson

from stevedore_api import problems
from stevedore_api.access_log import AccessLog
from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.memory_watch import MemoryWatch
from stevedore_api.metrics import Metrics
from stevedore_api.request_head import Headers, is_local, request_id, trace_id
from stevedore_api.settings import Settings
from stevedore_core.errors import (
    BodyNotJson,
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeRefused,
    EnvelopeInvalid,
    HostRefused,
    QueueFull,
    StevedoreError,
)
from stevedore_core.frames import Frame, Kind

__all__ = [
    "CLIENT_LEFT",
    "HOST_REFUSED",
    "MEMORY_SHORT",
    "RETRY_STATUSES",
    "Exchange",
    "HotPath",
    "Target",
]

CLIENT_LEFT = 499
"""What the log says when nobody waits for the answer any more."""
RETRY_STATUSES = frozenset({429, 503})
HOST_REFUSED = HostRefused("this server listens on the loopback address only; ask for `localhost`")
MEMORY_SHORT = QueueFull("memory is short: only one request at a time is taken")

_log = logging.getLogger(__name__)

_JSON = b"application/json"
_OK = 200
_ANSWER = (
    b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\n"
    b"content-length: %d\r\nx-request-id: %b\r\n\r\n%b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path asks for. `model` is None where the envelope names it."""

    path: str
    operation: str
    """What metrics call it."""
    kind: Kind
    model: ServedModel | None


class _Envelope(msgspec.Struct):
    """What the front reads of an envelope; the worker reads all of it, and more strictly."""

    predictor: str


class HotPath:
    """The paths that are answered here, and what the requests for them share."""

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings,
        access_log: AccessLog,
        metrics: Metrics,
        memory: MemoryWatch,
    ) -> None:
        self.memory = memory
        self.access_log = access_log
        self.metrics = metrics
        self.is_draining = False
        """True once this process is about to stop: an answer is the last on its connection."""
        self.catalogue = catalogue
        self.settings = settings
        self.is_loopback = settings.is_loopback
        self.arriving_bytes = 0
        """What is here of bodies that are not whole."""
        self.envelope = msgspec.json.Decoder(_Envelope)
        self.targets: dict[bytes, Target] = {}
        """By their paths as they are usually spelled."""
        self._add("/predict", Kind.PREDICT_ENVELOPE, None)
        self._add("/score", Kind.SCORE_ENVELOPE, None)
        for model in catalogue:
            places = [f"/models/{model.name}/versions/{model.version}"]
            if model is catalogue[model.name]:
                places.append(f"/models/{model.name}")
            for place in places:
                self._add(f"{place}/predict", Kind.PREDICT, model)
                self._add(f"{place}/score", Kind.SCORE, model)
        self._headers: Headers = ()
        self._joined = b""

    def find(self, url: bytes) -> Target | None:
        """Return what the URL of a POST asks for, if it is answered here."""
        if (target := self.targets.get(url)) is not None:
            return target
        try:
            path = unquote_to_bytes(httptools.parse_url(url).path)
        except (httptools.HttpParserInvalidURLError, AttributeError):
            return None  # uvicorn refuses it
        return self.targets.get(path.removesuffix(b"/"))

    def is_alone(self, own_bytes: int) -> bool:
        """Tell whether nothing is here but so many bytes of one body: what waits, runs, arrives."""
        if self.arriving_bytes > own_bytes:
            return False
        return not any(model.group.is_busy for model in self.catalogue)

    def joined(self, headers: Headers) -> bytes:
        """Return uvicorn's own headers as bytes; it makes a new list of them every second."""
        if headers is not self._headers:
            self._headers = headers
            self._joined = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._joined

    def _add(self, path: str, kind: Kind, model: ServedModel | None) -> None:
        operation = path.rpartition("/")[2]
        target = Target(path=path, operation=operation, kind=kind, model=model)
        self.targets[path.encode()] = target


class Exchange:
    """One request for a path of the hot path, and its answer.

    The protocol calls `begin`, `add` for each piece of the body and `end`, in this order and as the
    bytes arrive; `take_turn` once all earlier requests of the connection are answered; and `leave`
    if the client does. uvicorn takes an exchange for the cycle of a request and an answer as its
    own protocol has them, of which it uses the attributes that have no underscore.
    """

    __slots__ = (
        "_answer",
        "_arrived_bytes",
        "_call",
        "_default_headers",
        "_done",
        "_has_turn",
        "_hot_path",
        "_is_continued",
        "_model",
        "_pieces",
        "_reason",
        "_request_id",
        "_started_at",
        "_target",
        "_timer",
        "_trace_id",
        "_transport",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913  # its parts
        self,
        hot_path: HotPath,
        target: Target,
        transport: asyncio.Transport,
        *,
        default_headers: bytes,
        keep_alive: bool,
        is_continued: bool,
        done: Callable[[], None],
    ) -> None:
        """Take what is known of a request when its headers are there.

        `done` is called when the answer is written; `is_continued` is true for a client that waits
        for leave to send its body.
        """
        self._hot_path = hot_path
        self._target = target
        self._model = target.model
        self._transport = transport
        self._default_headers = default_headers
        self._done = done
        self._started_at = time.perf_counter()
        self._request_id = ""
        self._trace_id: str | None = None
        self._pieces: list[bytes] = []
        self._arrived_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._call: asyncio.Future[Frame] | None = None
        self._answer: tuple[int, bytes] | None = None
        self._reason: str | None = None
        self._has_turn = False
        self._is_continued = is_continued
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = False
        self.disconnected = False

    def begin(self, headers: Headers) -> None:
        """Refuse by the headers what need not be read."""
        self._request_id = request_id(headers)
        self._trace_id = trace_id(headers)
        if self._hot_path.is_loopback and not is_local(headers):
            self._refuse(HOST_REFUSED)
        elif self._hot_path.memory.is_short and not self._hot_path.is_alone(0):
            self._refuse(MEMORY_SHORT)
        elif error := _fault_of(headers, self._hot_path.settings.max_body_bytes):
            self._refuse(error)

    def add(self, piece: bytes) -> None:
        """Take a piece of the body; all bodies that arrive may hold only so much together."""
        if self.is_answered:
            return
        self._pieces.append(piece)
        self._arrived_bytes += len(piece)
        self._hot_path.arriving_bytes += len(piece)
        if self._arrived_bytes > self._hot_path.settings.max_body_bytes:
            self._refuse(_too_large(self._hot_path.settings.max_body_bytes))
        elif self._hot_path.arriving_bytes > self._hot_path.settings.max_queued_bytes:
            self._refuse(QueueFull("the requests that arrive just now hold too many bytes already"))
        elif self._hot_path.memory.is_short and not self._hot_path.is_alone(self._arrived_bytes):
            self._refuse(MEMORY_SHORT)

    def end(self) -> None:
        """Take note that the body is whole."""
        self.more_body = False
        if not self.is_answered and self._has_turn:
            self._submit()

    def take_turn(self) -> None:
        """Go ahead: the answer is the next that the client awaits."""
        self._has_turn = True
        if self._answer is not None:
            self._send()
        elif not self.more_body:
            self._submit()
        elif self._is_continued:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def await_body(self) -> None:
        """Give a body that did not come with its headers its time."""
        if self._timer is None and not self.is_answered:
            limit_s = self._hot_path.settings.body_deadline_s
            self._timer = asyncio.get_running_loop().call_later(
                limit_s, self._refuse, BodyTooSlow(f"no whole body within {limit_s:g} s")
            )

    def leave(self) -> None:
        """Take note that the client is gone: what waits will not run."""
        if self.response_complete or self.disconnected:
            return
        self.disconnected = True
        self._let_go()
        if self._call is not None:
            self._call.cancel()
        self._note(CLIENT_LEFT)

    @property
    def is_answered(self) -> bool:
        """True if nothing that comes can change the answer."""
        return self._answer is not None or self.response_complete or self.disconnected

    def _submit(self) -> None:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._let_go()
        try:
            if self._model is None:
                self._model = self._hot_path.catalogue[_name(self._hot_path.envelope, body)]
            model = self._model
            self._call = model.group.submit(self._target.kind, model.number, body)
        except Exception as error:  # noqa: BLE001  # the outermost handler
            self._refuse(error)
        else:
            self._call.add_done_callback(self._answered)

    def _answered(self, call: asyncio.Future[Frame]) -> None:
        if call.cancelled():
            return
        if (error := call.exception()) is not None:
            self._refuse(error)
            return
        frame = call.result()
        if frame.kind == Kind.ANSWER:
            self._answer = (_OK, frame.body)
        else:
            said = orjson.loads(frame.body)
            self._answer = problems.problem(**said, request_id=self._request_id)
            self._reason = said["code"]
        self._send()

    def _refuse(self, error: BaseException) -> None:
        if not isinstance(error, StevedoreError):
            _log.error("request %s", self._request_id, exc_info=error)
        self._let_go()
        self._answer = problems.problem_of(error, request_id=self._request_id)
        self._reason = error.code if isinstance(error, StevedoreError) else problems.INTERNAL
        if self._has_turn:
            self._send()

    def _let_go(self) -> None:
        """Keep no body that is not needed any more, and no clock for it."""
        self._hot_path.arriving_bytes -= self._arrived_bytes
        self._arrived_bytes = 0
        self._pieces = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        assert self._answer is not None  # noqa: S101  # who calls has set it
        status, body = self._answer
        if self.disconnected:
            return
        if self.more_body or self._hot_path.is_draining:  # the rest of the body is not read
            self.keep_alive = False
        identity = self._request_id.encode()
        if status == _OK and self.keep_alive:
            data = _ANSWER % (self._default_headers, len(body), identity, body)
        else:
            data = self._head(status, len(body), identity) + body
        self.response_complete = True
        self._transport.write(data)
        self._note(status)
        if not self.keep_alive:
            self._transport.close()
        self._done()

    def _head(self, status: int, body_bytes: int, identity: bytes) -> bytes:
        media_type = _JSON.decode() if status == _OK else problems.MEDIA_TYPE
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode(),
            self._default_headers,
            f"content-type: {media_type}\r\ncontent-length: {body_bytes}\r\n".encode(),
            b"x-request-id: %b\r\n" % identity,
        ]
        if status in RETRY_STATUSES:
            lines.append(b"retry-after: 1\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        return b"".join([*lines, b"\r\n"])

    def _note(self, status: int) -> None:
        duration_s = time.perf_counter() - self._started_at
        model = self._model.key if self._model is not None else None
        self._hot_path.metrics.note_answer(
            self._target.operation, model, status, self._reason, duration_s
        )
        self._hot_path.access_log.note(
            request_id=self._request_id,
            method="POST",
            path=self._target.path,
            status=status,
            duration_s=duration_s,
            model=model,
            trace_id=self._trace_id,
        )


def _fault_of(headers: Headers, max_body_bytes: int) -> StevedoreError | None:
    """Return by which header a request is refused, if by any."""
    content_type = b""
    for name, value in headers:
        if name == b"content-length" and int(value) > max_body_bytes:
            return _too_large(max_body_bytes)
        if name == b"content-encoding" and value.lower() != b"identity":
            return ContentTypeRefused("send the body as it is, without `Content-Encoding`")
        if name == b"content-type":
            content_type = value
    if content_type != _JSON and not _is_json(content_type):
        return ContentTypeRefused(
            "send the body as JSON in UTF-8, with the header `Content-Type: application/json`"
        )
    return None


def _too_large(max_body_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is longer than {max_body_bytes} bytes")


def _is_json(content_type: bytes) -> bool:
    media_type, *parameters = (part.strip() for part in content_type.lower().split(b";"))
    is_json = media_type == _JSON or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )
    charsets = {p.removeprefix(b"charset=").strip(b'"') for p in parameters if b"charset=" in p}
    return is_json and charsets <= {b"utf-8", b"utf8"}


def _name(envelope: "msgspec.json.Decoder[_Envelope]", body: bytes) -> str:
    try:
        return envelope.decode(body).predictor
    except msgspec.ValidationError:
        raise EnvelopeInvalid(
            'expected an object like {"predictor": "<model>", "payload": …}'
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BodyNotJson("the body is not strict JSON") from None

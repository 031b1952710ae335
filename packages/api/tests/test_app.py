"""What holds for every request: whom it may address, its id, its line in the log."""

import asyncio
import re
from typing import cast
from urllib.parse import unquote

import httpx
import orjson
import pytest
from assembled import SILENT, ScriptedGroup, catalogue_of, exposition_of
from raw_http import RawConnection, request
from served_layout import Server

from stevedore_api.app import App
from stevedore_api.health import Health
from stevedore_api.hot_path import Exchange, HotPath
from stevedore_api.memory_watch import MemoryWatch
from stevedore_api.metrics import Metrics
from stevedore_api.settings import Settings
from stevedore_core.frames import Frame, Kind
from stevedore_core.strict_json import Json

PREDICT = "/models/one/predict"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("", 403),
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("localhost:8000.evil.example", 403),
        ("evil.example/?localhost", 403),
        ("localhost/?x", 403),
        ("localhost#", 403),
        ("user@localhost", 403),
        ("127.0.0.2", 403),
        ("0.0.0.0", 403),  # noqa: S104  # only a header
        ("[::1", 403),
    ],
)
def test_a_server_on_loopback_checks_the_host(shared: Server, host: str, expected: int) -> None:
    """A page elsewhere, whose name was bound to this machine, reaches no route."""
    for method, path in (("GET", "/livez"), ("GET", "/openapi.json"), ("GET", "/nothing")):
        with RawConnection(shared.url) as connection:
            connection.send(request(method, path, host=host))
            answer = connection.answer()
        assert answer.status == (404 if path == "/nothing" and expected == 200 else expected)
    body = b'{"do": "echo"}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with RawConnection(shared.url) as connection:
        connection.send(request("POST", PREDICT, *headers, body=body, host=host))
        answer = connection.answer()
    assert answer.status == expected
    if expected == 403:
        assert b"problem:host-refused" in answer.body


def test_a_request_without_host_is_refused(shared: Server) -> None:
    """Who names no host at all is no browser's user, and is refused on loopback like the rest."""
    with RawConnection(shared.url) as connection:
        connection.send(b"GET /livez HTTP/1.1\r\n\r\n")
        assert connection.answer().status == 403


@pytest.mark.parametrize("request_id", ["1", "a-B_9.z", "x" * 128])
def test_a_sane_request_id_is_kept(shared: Server, request_id: str) -> None:
    """The caller's id comes back in the header, in a problem and in the log."""
    headers = {"x-request-id": request_id}
    answer = shared.client.get("/livez", headers=headers)
    assert answer.headers.get_list("x-request-id") == [request_id]
    answer = shared.client.post(PREDICT, json=1, headers=headers)
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == request_id
    assert shared.client.get("/nothing", headers=headers).json()["request_id"] == request_id


@pytest.mark.parametrize(
    "request_id",
    ["", "a b", "x" * 129, '"', "a\tb", "<script>", "../x", "a;b", "é".encode(), "a,b", "%0a"],
)
def test_another_request_id_is_replaced(shared: Server, request_id: str | bytes) -> None:
    """An id that could mean something to whoever reads the log is not repeated."""
    raw = request_id if isinstance(request_id, bytes) else request_id.encode()
    answer = shared.client.get("/livez", headers=[(b"x-request-id", raw)])
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_request_ids_differ(shared: Server) -> None:
    """No two requests share a new id."""
    ids = {shared.get("/livez").headers["x-request-id"] for _ in range(50)}
    assert len(ids) == 50


def test_nothing_answers_for_another_origin(shared: Server) -> None:
    """No answer tells a browser that a foreign page may read it."""
    origin = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for method, path in (("GET", "/livez"), ("OPTIONS", PREDICT), ("POST", PREDICT)):
        answer = shared.client.request(method, path, headers=origin)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def line_of(server: Server, request_id: str) -> dict[str, object]:
    """Return the one line of a request."""
    (line,) = server.await_lines(1, request_id=request_id)
    return line


def test_one_line_for_each_request(shared: Server) -> None:
    """Every answered request has one line, with its model if it reached one."""
    sent = {
        "line-1": ("POST", PREDICT, 200, "one"),
        "line-2": ("POST", "/models/two/score", 422, "two"),
        "line-3": ("GET", "/livez", 200, None),
        "line-4": ("GET", "/nothing%0A%1B[31m", 404, None),
        "line-5": ("PUT", "/score", 405, None),
    }
    for request_id, (method, path, status, _) in sent.items():
        headers = {"x-request-id": request_id}
        payload = {"do": "echo"} if method == "POST" else None
        answer = shared.client.request(method, path, json=payload, headers=headers)
        assert answer.status_code == status
    for request_id, (method, path, status, model) in sent.items():
        line = line_of(shared, request_id)
        said = (line["method"], line["path"], line["status"], line.get("model"))
        assert said == (method, unquote(path), status, model)
        duration_ms = line["duration_ms"]
        assert isinstance(duration_ms, float)
        assert 0 < duration_ms < 10_000


def test_no_payload_is_logged(shared: Server) -> None:
    """Whatever way a body, a query or a header takes, its content is not in the log."""
    canary = "canary-4711"
    value = {"do": "echo", "value": canary, canary: canary}
    envelope = {"predictor": "one", "payload": value}
    for path, payload in (
        (PREDICT, value),
        (PREDICT, [canary]),
        (PREDICT, {"do": "nan", canary: 1}),
        ("/predict", envelope),
        ("/predict", {"predictor": canary, "payload": 1}),
        ("/models/one/score", [canary]),
    ):
        headers = {"authorization": canary, "cookie": canary, "x-api-key": canary}
        shared.client.post(path, json=payload, params={"key": canary}, headers=headers)
    for body in (b"{" + canary.encode(), b'{"%b": 1, "%b": 1}' % ((canary.encode(),) * 2)):
        answer = shared.client.post(
            PREDICT, content=body, headers={"content-type": "application/json"}
        )
        assert canary not in answer.text
    assert canary not in shared.log.read_text()
    assert canary not in shared.errors.read_text()


def in_process(group: ScriptedGroup, composition: dict[str, Json]) -> App:
    """Return an application of one model, `a`, in a scripted group."""
    catalogue = catalogue_of({"a": None}, group)
    memory = MemoryWatch(None, 1)
    settings = Settings.read({"STEVEDORE_HOST": "0.0.0.0"})  # noqa: S104  # nothing listens
    metrics = Metrics(["a"])
    return App(
        catalogue=catalogue,
        groups=(),
        health=Health(catalogue, settings, "all", {}),
        memory=memory,
        hot_path=HotPath(catalogue, settings, SILENT, metrics, memory),
        composition={"name": "sample", "version": "1.0.0", **composition},
        settings=settings,
        metrics=metrics,
        exposition=exposition_of(catalogue),
        access_log=SILENT,
    )


async def asked(app: App, path: str) -> httpx.Response:
    """Send a request to an application in this process, under a foreign host."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://a.example") as client:
        return await client.get(path, headers={"x-request-id": "r"})


class Written:
    """Stands for a transport: keeps what is written."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.data = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.data += data


async def exchanged(hot_path: HotPath, url: bytes) -> tuple[int, Json]:
    """Send a request through the hot path alone, under a foreign host; return status and body."""
    target = hot_path.find(url)
    assert target is not None
    written = Written()
    done = asyncio.Event()
    exchange = Exchange(
        hot_path,
        target,
        cast("asyncio.Transport", written),
        default_headers=b"",
        keep_alive=True,
        is_continued=False,
        done=done.set,
    )
    headers = {"host": "a.example", "content-type": "application/json", "x-request-id": "r"}
    exchange.begin([(name.encode(), value.encode()) for name, value in headers.items()])
    exchange.take_turn()
    exchange.add(b"1")
    exchange.end()
    await done.wait()
    head, _, body = written.data.partition(b"\r\n\r\n")
    return int(head.split()[1]), orjson.loads(body)


def test_our_own_failure_is_500_in_fixed_words(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is logged whole, and told without a word of it."""

    def fail(_: Kind) -> Frame:
        raise RuntimeError("secret")

    group = ScriptedGroup(fail)
    composition: dict[str, Json] = {"base": cast("Json", object())}
    app = in_process(group, composition)
    for path in (b"/models/a/predict", b"/models/a/score"):
        status, body = asyncio.run(exchanged(app.hot_path, path))
        assert status == 500
        assert body == {
            "type": "urn:ml-py-stevedore:problem:internal-error",
            "title": "Something went wrong here",
            "status": 500,
            "detail": "the request could not be answered; the log has the reason",
            "request_id": "r",
        }
    answer = asyncio.run(asked(app, "/composition"))
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:ml-py-stevedore:problem:output-not-json"
    group.is_loaded = fail  # type: ignore[method-assign, assignment]  # the fake breaks here too
    answer = asyncio.run(asked(app, "/health"))
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:ml-py-stevedore:problem:internal-error"
    assert answer.headers["x-request-id"] == "r"
    failures = [record for record in caplog.records if record.exc_info]
    assert [record.getMessage() for record in failures] == ["request r"] * 3
    assert all("secret" in str(record.exc_info) for record in failures)


def test_beyond_loopback_any_host_is_served() -> None:
    """Behind a network the names are the operator's business; draining ends readiness."""
    group = ScriptedGroup(lambda _: Frame(0, Kind.ANSWER, 0, b"1"))
    app = in_process(group, {})
    assert asyncio.run(exchanged(app.hot_path, b"/models/a/predict")) == (200, 1)
    app.drain()
    verbose = asyncio.run(asked(app, "/readyz?verbose"))
    assert verbose.json() == {"a": {"ready": False, "reason": "draining"}}
    assert verbose.status_code == 503


def test_a_path_is_found_however_it_is_spelled() -> None:
    """With a slash at its end, a query, or escapes; what is no URL is nothing."""
    find = in_process(ScriptedGroup(lambda _: Frame(0, Kind.ANSWER, 0, b"1")), {}).hot_path.find
    for url in (b"/models/a/predict/", b"/models/a/predict?x=1", b"/models/%61/predict/?x"):
        target = find(url)
        assert target is not None
        assert target.path == "/models/a/predict"
    for url in (
        b"/models/a/predict//",
        b"/models/b/predict",
        b"",
        b"*",
        b"http://",
        b"/\xff",
        b" ",
    ):
        assert find(url) is None


def test_every_line_of_the_log_is_json(shared: Server) -> None:
    """Also what the server under ours has to say is one JSON object on a line."""
    with RawConnection(shared.url) as connection:
        connection.send(b"\x00\r\n\r\n")
        assert connection.answer().status == 400
    assert shared.await_lines(1, logger="uvicorn.error")
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in shared.lines())

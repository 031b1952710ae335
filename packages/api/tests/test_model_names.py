"""Names in a path: hostile ones reach no route, and models named like routes get in no way."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import quote

import pytest
import raw_http
from served_layout import MakeLayout, Model, Serve, Server, obedient

HOSTILE = [
    *(
        "a/b",
        "a//b",
        "/",
        "//",
        ".",
        "..",
        "../one",
        "../../livez",
        "./one",
        "one/..",
        "one/../one",
    ),
    *("%2e", "%2e%2e", "%2e%2e%2fone", "%252e%252e", "%2fone", "one%00", "one%0a", "%"),
    *(" ", "one ", " one", "one\t", "ONE", "One", "o ne", "one.", "one;x=1", "one&two"),
    *("10k" * 3_334, "\N{SMILING FACE WITH SUNGLASSES}", "\N{CYRILLIC SMALL LETTER O}ne"),
    *("\N{FULLWIDTH LATIN SMALL LETTER O}ne", "__proto__", "constructor", "__class__", "{name}"),
    *("${one}", "$(one)", "`one`", "one'--", "*", "~", "\\one", "..\\one", "C:one", "-one"),
]
ROUTES = ["", "/livez", "/readyz", "/healthz", "/version", "/versions", "/created", "/score"]
ROUTES += ["/predict_schema", "/score_schema", "/versions/1.0.0", "/versions/1.0.0/livez"]
POSTS = ["/predict", "/score", "/versions/1.0.0/predict", "/versions/1.0.0/score"]
LIKE_ROUTES = ["docs", "health", "healthz", "list", "livez", "metrics", "models", "openapi"]
LIKE_ROUTES += ["predict", "readyz", "score", "version", "versions", "composition", "created"]

Answer = tuple[str, int, bytes]


def in_path(name: str) -> str:
    """Write a name as it stands in a request line: escapes stay, what cannot stand is escaped."""
    return quote(name, safe="/%.;&*~$()'{}:")


def answers(ask: Callable[[str, str], raw_http.RawAnswer], names: Iterable[str]) -> list[Answer]:
    """Ask every route that takes a name, in a path and in a query, for every name."""
    found = []
    for name in names:
        asked = [("GET", f"/models/{in_path(name)}{route}") for route in ROUTES]
        asked += [("POST", f"/models/{in_path(name)}{route}") for route in POSTS]
        query = quote(name, safe="")
        asked += [("GET", f"/{route}?model={query}") for route in ("readyz", "version", "created")]
        for method, path in asked:
            answer = ask(method, path)
            found.append((f"{method} {path}", answer.status, answer.body))
    return found


def captured(found: Iterable[Answer]) -> list[str]:
    """Return the requests that were answered by anything but a refusal in the form of a problem."""
    return [
        f"{request} -> {status}"
        for request, status, body in found
        if not 400 <= status < 500 or (body and "type" not in json.loads(body))
    ]


def asking(server: Server) -> Callable[[str, str], raw_http.RawAnswer]:
    """Return what sends a request line to a server, byte by byte."""

    def ask(method: str, path: str) -> raw_http.RawAnswer:
        host = server.url.partition("://")[2]
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        body = '{"do": "echo"}' if method == "POST" else ""
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        with raw_http.RawConnection(server.url) as connection:
            connection.send(f"{head}\r\n{body}".encode())
            return connection.answer()

    return ask


@pytest.mark.fault("H5")
def test_hostile_names_reach_nothing(shared: Server, figure: Callable[[str], None]) -> None:
    """Whatever stands where a model's name should: a problem, and no route answers in its place."""
    found = answers(asking(shared), HOSTILE)
    wrong = captured(found)
    figure(
        f"{len(HOSTILE)} names on {len(found) // len(HOSTILE)} routes: {len(wrong)} of "
        f"{len(found)} requests captured"
    )
    assert wrong == []


@pytest.mark.control("H5")
def test_a_name_that_is_served_is_seen_as_captured(shared: Server) -> None:
    """The same look at a name that routes do answer to tells every one of them."""
    found = answers(asking(shared), ["one"])
    refused = [request for request, status, _ in found if status != HTTPStatus.OK]
    assert len(captured(found)) == len(found) - len(refused)
    assert "GET /models/one/livez -> 200" in captured(found)


@pytest.mark.fault("H5")
def test_models_that_are_named_like_routes(make_layout: MakeLayout, serve: Serve) -> None:
    """Models live below `/models`: a name such as `docs` takes no route and loses none."""
    server = serve(make_layout(**{n: Model(source=obedient(n)) for n in LIKE_ROUTES}))
    server.wait_until("/readyz")
    assert server.get("/list").json() == LIKE_ROUTES
    assert server.get("/livez").json() == "LIVE"
    assert set(server.get("/health").json()) == {"live", "ready", "uptime"}
    assert server.get("/docs").headers["content-type"].startswith("text/html")
    assert set(server.get("/openapi.json").json()) >= {"openapi", "paths"}
    assert server.get("/composition").json()["name"]
    for name in LIKE_ROUTES:
        assert server.get(f"/models/{name}").json()["name"] == name
        assert server.get(f"/models/{name}/versions").json() == ["1.0.0"]
        said = {"do": "echo", "value": name}
        assert server.post(f"/models/{name}/predict", said).json() == name

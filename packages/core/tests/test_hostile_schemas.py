"""Schemas that reach outside, or that keep a validator busy: refused, or checked in no time."""

import ctypes
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stevedore_core.errors import PayloadInvalid, SchemaInvalid
from stevedore_core.fan_out import fan_out
from stevedore_core.schemas import Schema
from stevedore_core.strict_json import Json

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
UNUSABLE = "`m: schema` is not a usable JSON Schema: "

PATTERN_LIMIT_S = 0.05
SCHEMA_LIMIT_S = 1.0
SLACK = 3
"""How much longer than promised it may take on a busy machine, at small scale."""

REACHING: dict[str, Json] = {
    "http": {"$ref": "http://HERE/schema.json"},
    "https": {"$ref": "https://HERE/schema.json#/definitions/a"},
    "no scheme": {"$ref": "//HERE/schema.json"},
    "ftp": {"$ref": "ftp://HERE/schema.json"},
    "file": {"$ref": "file://FILE"},
    "file on a host": {"$ref": "file://localhost/FILE"},
    "relative file": {"$ref": "schema.json"},
    "path": {"$ref": "FILE"},
    "path that climbs": {"$ref": "../../../../../../../../../FILE"},
    "UNC": {"$ref": "\\\\localhost\\share\\schema.json"},
    "urn": {"$ref": "urn:example:schema"},
    "data": {"$ref": "data:application/json,{}"},
    "$id": {"$id": "http://HERE/base/", "$ref": "schema.json"},
    "$id of a file": {"$id": "file://FILE", "$ref": "other.json"},
    "$dynamicRef": {"$id": "http://HERE/base/", "$dynamicRef": "schema.json#node"},
    "below": {"$schema": DRAFT_2019, "$id": "http://HERE/", "items": {"$ref": "b.json"}},
    "$schema": {"$schema": "http://HERE/meta-schema.json", "type": "object"},
    "$schema of a file": {"$schema": "file://FILE", "type": "object"},
    "in an array": {"$schema": DRAFT_7, "items": [{"$ref": "http://HERE/schema.json"}]},
}

SLOW = [
    (r"^(a+)+$", "a", "!"),
    (r"^(a*)*$", "a", "!"),
    (r"^(a|a)*$", "a", "!"),
    (r"^(a|aa)+$", "a", "!"),
    (r"^(a|a?)+$", "a", "!"),
    (r"^(a+){10}$", "a", "!"),
    (r"^(a?){30}a{30}$", "a", "!"),
    (r"^(.*a){12}$", "a", "!"),
    (r"^((ab)*)*c$", "ab", "!"),
    (r"(x+x+)+y", "x", "!"),
    (r".*.*=.*", "x", ""),
    (r".*.*.*.*;", "x", ""),
    (r"^(\d+)*x$", "1", "!"),
    (r"^(\d|\d\d)+$", "1", "!"),
    (r"^(-?[0-9]+,?)*$", "1,", "!"),
    (r"^(\w+\s?)*$", "a", "!"),
    (r"^(\w*)*\d$", "a", "!"),
    (r"^(\s+)*$", " ", "!"),
    (r"\s+$", " ", "!"),
    (r"^(<[^>]*>)*$", "<", ""),
    (r'^([^"]|\\.)*"$', "\\\\", "!"),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a", ""),
    (r"^([a-z0-9]+\.?)+@([a-z0-9]+\.?)+$", "a", "!"),
    (r"^(([a-z]+)*[0-9]*)*$", "a", "!"),
    (r"^([\w.-]+)+\.([a-z.]{2,6})([/\w .-]*)*/?$", "a.", "!"),
]
"""Patterns that keep a backtracking engine busy for ages, with the text that does it."""


def refusal(schema: Json) -> str:
    """Return why the schema does not compile."""
    with pytest.raises(SchemaInvalid) as caught:
        Schema.compile(schema, where="m: schema")
    return str(caught.value)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket on this machine that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def is_hit(listener: socket.socket) -> bool:
    """Return whether someone connected."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


class WatchedFile:
    """A schema in a file; the kernel tells who opened it, in whatever language that was done."""

    _OPENED = 0x20
    _EVENT = struct.Struct("iIII")

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("true")
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._events, os.fsencode(path), self._OPENED) > 0

    def opens(self) -> int:
        """Return how often it was opened since the last time."""
        try:
            return len(os.read(self._events, 4_096)) // self._EVENT.size
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Watch no longer."""
        os.close(self._events)


@pytest.fixture
def watched_file(tmp_path: Path) -> Iterator[WatchedFile]:
    """A file that would be a usable schema, and is watched."""
    file = WatchedFile(tmp_path / "schema.json")
    yield file
    file.close()


def filled(document: Json, host: str, file: Path) -> Json:
    """Put the listener's address where `HERE` stands, and the path of the file for `FILE`."""
    if isinstance(document, dict):
        return {key: filled(value, host, file) for key, value in document.items()}
    if isinstance(document, list):
        return [filled(item, host, file) for item in document]
    if isinstance(document, str):
        return document.replace("HERE", host).replace("FILE", str(file))
    return document


@pytest.mark.fault("E1")
def test_nothing_is_ever_fetched(
    listener: socket.socket,
    watched_file: WatchedFile,
    figure: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every reference to another document is refused: no connection is made, no file opened."""
    monkeypatch.chdir(watched_file.path.parent)
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    for document in REACHING.values():
        assert refusal(filled(document, host, watched_file.path)).startswith(UNUSABLE)
    assert not is_hit(listener)
    assert watched_file.opens() == 0
    figure(f"{len(REACHING)} of {len(REACHING)} kinds refused, 0 connections, 0 files opened")


@pytest.mark.control("E1")
def test_a_connection_or_an_open_file_would_be_noticed(
    listener: socket.socket, watched_file: WatchedFile
) -> None:
    """A connection and a read of the file are seen, so that seeing none says something."""
    with socket.create_connection(listener.getsockname()):
        assert is_hit(listener)
    assert watched_file.path.read_text() == "true"
    assert watched_file.opens() == 1


BETWEEN = """
import os, sys
from stevedore_core.errors import SchemaInvalid
from stevedore_core.schemas import Schema
REACHING = DOCUMENTS
try:
    Schema.compile(REACHING[0], where="first")  # whatever is loaded at the first refusal
except SchemaInvalid:
    pass
os.access("/begin", os.F_OK)
DO_MORE
for document in REACHING:
    try:
        Schema.compile(document, where="m")
    except SchemaInvalid:
        continue
    sys.exit("admitted")
os.access("/end", os.F_OK)
"""


def calls_of_the_system(log: Path, *, more: str = "") -> list[str]:
    """Return what a process that compiles every reaching schema asks of files and networks."""
    if (strace := shutil.which("strace")) is None:
        pytest.skip("it takes strace")
    documents = [filled(document, "127.0.0.1:9", log) for document in REACHING.values()]
    code = BETWEEN.replace("DOCUMENTS", repr(documents)).replace("DO_MORE", more)
    traced = [strace, "-f", "-e", "trace=/^(open|access),%network", "-o", str(log)]
    subprocess.run([*traced, sys.executable, "-c", code], check=True)
    _, begin, rest = log.read_text().partition('"/begin"')
    between, end, _ = rest.partition('"/end"')
    assert begin
    assert end
    lines = between.splitlines()[1:-1]
    return [line for line in lines if "cgroup" not in line]  # how many cores there are


@pytest.mark.fault("E1")
def test_the_system_is_asked_for_nothing(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Between the first schema and the last no file is opened and no socket made."""
    assert calls_of_the_system(tmp_path / "log") == []
    figure(f"{len(REACHING)} kinds traced: 0 calls of the system for files or sockets")


@pytest.mark.control("E1")
def test_a_call_of_the_system_is_traced(tmp_path: Path) -> None:
    """One file that is opened, or one socket that is made, stands in the log."""
    deeds = {
        "openat(": "open('/etc/hostname').close()",
        "socket(": "import socket; socket.socket().close()",
    }
    for call, more in deeds.items():
        assert any(call in line for line in calls_of_the_system(tmp_path / "log", more=more))


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", r"(?<n>a)\k<n>", "(?>a)", "(", "[z-a]"],
)
@pytest.mark.fault("E2")
def test_patterns_without_linear_time_are_refused(pattern: str) -> None:
    """Look-around and back-references do not compile, neither in `pattern` nor as a name's."""
    reason = "not a pattern of linear time (no look-around, no back-references)"
    assert refusal({"properties": {"a": {"pattern": pattern}}}) == (
        f"{UNUSABLE}at `/properties/a/pattern`: {reason}"
    )
    assert refusal({"patternProperties": {pattern: {}}}) == (
        f"{UNUSABLE}at `/patternProperties/{pattern}`: {reason}"
    )


def seconds(check: Callable[[str], object], text: str) -> float:
    """Return how long a check of a text takes that does not fit."""
    begun = time.perf_counter()
    with pytest.raises(PayloadInvalid):
        check(text)
    return time.perf_counter() - begun


@pytest.mark.clock
@pytest.mark.fault("E2")
def test_catastrophic_patterns_take_linear_time(
    figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """Patterns that keep a backtracking engine busy for ages decide on 50,000 characters at once.

    The same holds for the name of a property, and for a pattern of a megabyte.
    """
    slowest_s = 0.0
    for pattern, repeated, end in SLOW:
        text = (repeated * 50_000)[:50_000] + end
        schema = Schema.compile({"type": "string", "pattern": pattern}, where="m: schema")
        slowest_s = max(slowest_s, seconds(schema.check, text))
        names = Schema.compile({"propertyNames": {"pattern": pattern}}, where="m: schema")
        slowest_s = max(slowest_s, seconds(lambda t, names=names: names.check({t: 1}), text))  # type: ignore[misc]
    longest = Schema.compile({"pattern": "|".join(f"w{n}" for n in range(140_000))}, where="m: s")
    slowest_s = max(slowest_s, seconds(longest.check, "x" * 50_000))
    assert slowest_s < PATTERN_LIMIT_S * scale(SLACK, 1)
    figure(f"{len(SLOW)} patterns on 50,000 characters, the slowest in {1e3 * slowest_s:.1f} ms")


@pytest.mark.clock
@pytest.mark.control("E2")
def test_a_backtracking_engine_is_seen() -> None:
    """Python's engine takes longer than is allowed on the first of the patterns and 25 letters."""
    pattern, repeated, end = SLOW[0]

    def check(text: str) -> None:
        if re.search(pattern, text) is None:
            raise PayloadInvalid([])

    assert seconds(check, repeated * 25 + end) > PATTERN_LIMIT_S * SLACK


def doubling(keyword: str, steps: int, *, inside: bool = False) -> dict[str, Json]:
    """Return a schema of two branches, each of which is two branches, and so on."""
    leaf: Json = {"type": "integer"}
    schemas: dict[str, Json] = {"0": leaf}
    for step in range(steps):
        reference: Json = {"$ref": f"#/$defs/{step}"}
        branch: Json = {"items": reference} if inside else reference
        schemas[f"{step + 1}"] = {keyword: [branch, branch]}
    return {"$defs": schemas, "$ref": f"#/$defs/{steps}"}


def wrapped(value: Json, depth: int) -> Json:
    """Put a value into so many arrays."""
    for _ in range(depth):
        value = [value]
    return value


BUSY: dict[str, tuple[Json, Json]] = {
    "uniqueItems, objects": (
        {"uniqueItems": True},
        [{"a": n % 9_999, "b": [n % 9_999]} for n in range(10_000)],
    ),
    "uniqueItems, arrays": ({"uniqueItems": True}, [[n % 99_999] for n in range(100_000)]),
    "uniqueItems, texts": ({"uniqueItems": True}, [f"x{n % 99_999}" for n in range(100_000)]),
    "anyOf in anyOf": (doubling("anyOf", 12), "x"),
    "oneOf in oneOf": (doubling("oneOf", 12), 1),
    "allOf in allOf": (doubling("allOf", 12), "x"),
    "anyOf in items": (doubling("anyOf", 12, inside=True), wrapped("x", 12)),
    "anyOf for each item": (
        {"items": {"$ref": "#/$defs/4"}, "$defs": doubling("anyOf", 4)["$defs"]},
        ["x"] * 10_000,
    ),
    "unevaluatedProperties": (
        {
            "anyOf": [{"properties": {f"k{n}": {}}} for n in range(200)],
            "unevaluatedProperties": False,
        },
        {f"k{n}": 1 for n in range(400)},
    ),
    "refers to itself": ({"$ref": "#", "type": "integer"}, "x"),
    "refer to each other": (
        {
            "$defs": {
                "a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "string"}]},
                "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]},
            },
            "$ref": "#/$defs/a",
            "type": "null",
        },
        1.5,
    ),
    "10 MB": (
        {
            "properties": {
                f"k{n}": {"type": "integer", "description": "x" * 60} for n in range(100_000)
            }
        },
        {"k99999": "x"},
    ),
}


@pytest.mark.clock
@pytest.mark.fault("E3")
def test_what_keeps_a_validator_busy_is_checked_in_time(
    figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """Each schema says within a second that a payload breaks it."""
    slowest_s = 0.0
    for name, (document, payload) in BUSY.items():
        schema = Schema.compile(document, where=name)
        begun = time.perf_counter()
        with pytest.raises(PayloadInvalid):
            schema.check(payload)
        slowest_s = max(slowest_s, time.perf_counter() - begun)
    assert slowest_s < SCHEMA_LIMIT_S * scale(SLACK, 1)
    figure(f"{len(BUSY)} schemas, the slowest check took {slowest_s:.2f} s")


@pytest.mark.fault("E3")
@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("inside", [False, True])
def test_branches_that_double_too_often_are_refused(keyword: str, inside: bool) -> None:  # noqa: FBT001
    """A schema that would look at one value more than 4,096 times does not compile."""
    Schema.compile(doubling(keyword, 12, inside=inside), where="m: schema")
    for steps in (13, 24, 200):
        assert refusal(doubling(keyword, steps, inside=inside)) == (
            f"{UNUSABLE}{2**steps} of its subschemas may look at one value, at most 4096 are "
            "checked in time; branch less often in `allOf`, `anyOf` and `oneOf`"
        )


@pytest.mark.clock
@pytest.mark.control("E3")
def test_a_validator_that_lists_all_would_take_too_long() -> None:
    """What is told of 1,000 items under 16 branches, and not of one, takes longer by far."""
    document, payload = BUSY["anyOf for each item"]
    assert isinstance(payload, list)
    schema = Schema.compile(document, where="m: schema")
    begun = time.perf_counter()
    with pytest.raises(PayloadInvalid):
        schema.check(payload)
    bounded_s = time.perf_counter() - begun
    begun = time.perf_counter()
    assert len(list(schema._validator.iter_errors(payload[:1_000]))) == 1_000  # noqa: SLF001
    assert time.perf_counter() - begun > 5 * bounded_s


@pytest.mark.parametrize(
    ("document", "count"),
    [
        (True, 1),
        ({}, 1),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, 1),
        ({"$ref": "#a", "$defs": {"a": {"$anchor": "a", "anyOf": [True, False]}}}, 2),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}, {"enum": ["a"]}]}, 3),
        ({"if": {}, "then": {}, "else": {}}, 3),
        ({"not": {"oneOf": [{}, {}]}}, 2),
        ({"dependentSchemas": {"a": {}, "b": {"anyOf": [{}, {}]}}}, 3),
        ({"anyOf": [{}, {}], "properties": {"a": {"anyOf": [{}, {}, {}]}, "b": {}}}, 5),
        ({"$schema": DRAFT_7, "items": [{}, {"anyOf": [{}, {}]}]}, 2),
        ({"prefixItems": [{}, {"anyOf": [{}, {}]}]}, 2),
        ({"patternProperties": {"^a": {"allOf": [{}, {}]}}}, 2),
        ({"additionalProperties": {"anyOf": [{}, {"$ref": "#"}]}}, 2),
        ({"$ref": "#"}, 1),
        ({"$ref": "#/nowhere/0"}, 1),
        ({"$ref": "#/allOf/1", "allOf": [{}, {"anyOf": [{}, {}]}]}, 5),
        ({"$ref": "https://example.com/"}, 1),
        ({"anyOf": 1, "properties": [], "$ref": 1}, 1),
    ],
)
def test_fan_out(document: Json, count: int) -> None:
    """Branches add up, what is inside counts where most branches are, recursion counts once."""
    assert fan_out(document) == count


def test_a_long_chain_of_references_is_followed() -> None:
    """Counting does not recurse: 20,000 references in a row are one."""
    schemas: dict[str, Json] = {f"{n}": {"$ref": f"#/$defs/{n + 1}"} for n in range(20_000)}
    assert fan_out({"$defs": {**schemas, "20000": {"anyOf": [{}, {}]}}, "$ref": "#/$defs/0"}) == 2

"""Payloads that cost the most for what they are, and random ones, against a model alone."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import httpx
import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from served_layout import Json, MakeLayout, Model, Serve, Server, start_server, write_layout

from stevedore_api import problems
from stevedore_core import calls
from stevedore_core.errors import StevedoreError
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import MAX_CONTAINERS

MIB = 1 << 20
BODY_BYTES = 8 * MIB
MOST_ITEMS = BODY_BYTES // 4 - 1
MOST_TIMES = 24
"""How much more memory than its bytes the longest body may take."""
TIME_LIMIT_S = 1.0
WRONG_LIMIT_S = 0.25
PROBLEM_BYTES = 2_048
SLACK = 3
"""How much longer than promised it may take on a busy machine, at small scale."""

SOURCE = '''
import copy, os
from stevedore_core.predictor import Predictor

SCHEMA = {
    "type": "object",
    "required": ["rows"],
    "additionalProperties": False,
    "properties": {
        "rows": {"type": "array", "maxItems": 10, "items": {"$ref": "#/$defs/row"}},
        "name": {"type": "string", "maxLength": 20, "pattern": "^[a-zé]*$"},
        "mode": {"enum": ["sum", "product", None, 1]},
    },
    "$defs": {
        "row": {
            "type": "array", "minItems": 1, "maxItems": 4,
            "items": {"type": "number", "minimum": -1000, "maximum": 1000},
        }
    },
}


class Plain(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        if X.get("mode") == "product":
            return [row[0] * row[-1] / (len(row) - 1) for row in X["rows"]]
        sums = [sum(row) for row in X["rows"]]
        return {"sums": sums, "name": X.get("name"), "mode": X.get("mode")}

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return 1.0


class Holding(Plain):
    """Answers with the worker, and holds what it is asked to hold."""

    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        if isinstance(X, dict) and "copies" in X:
            self.held = [copy.deepcopy(X["value"]) for _ in range(X["copies"])]
        return os.getpid()


def load():
    if NAME == "plain":
        return Plain(None, NAME, {"rows": [[1, 2]]}, SCHEMA, [1], {"type": "array"}, "1.0.0")
    schema = {"items": {"type": "integer"}} if NAME == "integers" else {}
    return Holding(None, NAME, [1], schema, [1], {"type": "array"}, "1.0.0")
'''


def source(name: str) -> str:
    """Return the source of one of the models `plain`, `integers` and `any`."""
    return SOURCE.replace("NAME", repr(name))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ready server of all three models, each in a group of its own, with the usual limits."""
    directory = tmp_path_factory.mktemp("payloads")
    models = {name: Model(source=source(name), workers=1) for name in ("plain", "integers", "any")}
    layout = write_layout(directory / "layout", "all", models)
    running = start_server(layout, directory / "server.log", {})
    running.wait_until("/readyz")
    yield running
    running.clean_up()


def send(server: Server, model: str, body: bytes) -> httpx.Response:
    """Send a payload as it is."""
    headers = {"content-type": "application/json"}
    return server.client.post(f"/models/{model}/predict", content=body, headers=headers)


def used_s(server: Server) -> float:
    """Return the processor time that the front and its workers have used, in seconds.

    What a payload costs is told by it whatever else the machine does; on one that does nothing
    else it takes as long.
    """
    front = server.process.pid
    workers = Path(f"/proc/{front}/task/{front}/children").read_text().split()
    total = 0.0
    for pid in (front, *workers):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / 100
    return total


def is_short(answer: bytes) -> bool:
    """Tell whether a problem is as short as promised."""
    return len(answer) <= PROBLEM_BYTES


@pytest.mark.fault("D6")
def test_a_payload_that_is_all_wrong_has_a_short_answer(
    server: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """However much is wrong in 8 MiB, the first places are told, soon and in 2 KiB."""
    bodies = [
        b"[" + b",".join([b'"x"'] * count) + b"]" for count in (10, 1_000, 100_000, MOST_ITEMS)
    ]
    slowest_s = 0.0
    for body in bodies:
        before_s = used_s(server)
        answer = send(server, "integers", body)
        slowest_s = max(slowest_s, used_s(server) - before_s)
        assert answer.status_code == 422
        assert 1 <= len(answer.json()["violations"]) <= 10
        assert answer.json()["violations"][0]["pointer"] == "/0"
        assert is_short(answer.content)
    assert slowest_s < WRONG_LIMIT_S * scale(SLACK, 1)
    figure(f"up to {MOST_ITEMS} items wrong: at most 2 KiB, {1_000 * slowest_s:.0f} ms of a core")


@pytest.mark.control("D6")
def test_a_message_that_quotes_the_payload_is_seen() -> None:
    """What another validator says of the same payload does not fit into 2 KiB."""
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate(["x"] * 100_000, {"type": "object"})
    assert not is_short(str(caught.value).encode())


def filled(begin: bytes, item: Callable[[int], bytes], end: bytes) -> bytes:
    """Return as many items as fit into the longest body."""
    pieces, size, number = [], len(begin) + len(end), 0
    while size < BODY_BYTES:
        pieces.append(item(number))
        size += len(pieces[-1]) + 1
        number += 1
    return begin + b",".join(pieces[:-1]) + end


def full(item: bytes) -> bytes:
    """Return as many containers as are read, and the longest body's rest of small integers."""
    items = b",".join([item] * ((MAX_CONTAINERS - 1) // sum(map(item.count, (b"[", b"{")))))
    return b"[" + items + b",0" * ((BODY_BYTES - len(items) - 2) // 2) + b"]"


def dense() -> dict[str, bytes]:
    """Return bodies that become as much as possible, and take as long as possible."""
    halves = (b"Aa", b"BB")  # many simple hashes do not tell these two apart
    return {
        "empty arrays": full(b"[]"),
        "empty objects": full(b"{}"),
        "objects of one key": full(b'{"":0}'),
        "nested arrays": full(b"[" * 60 + b"]" * 60),
        "nested objects": full(b'{"":' * 60 + b"0" + b"}" * 60),
        "unique keys": filled(b"{", lambda n: b'"%x":0' % n, b"}"),
        "keys alike": filled(
            b"{", lambda n: b'"%b":0' % b"".join(halves[n >> bit & 1] for bit in range(20)), b"}"
        ),
        "floats": filled(b"[", lambda _: b"0.1", b"]"),
    }


def refused() -> dict[str, bytes]:
    """Return bodies that would become more, or take longer, than is read at all."""
    return {
        "empty arrays": filled(b"[", lambda _: b"[]", b"]"),
        "objects of one key": filled(b"[", lambda _: b'{"":0}', b"]"),
        "nested arrays": filled(b"[", lambda _: b"[" * 60 + b"]" * 60, b"]"),
        "digits": b"[" + b"1" * (BODY_BYTES - 2) + b"]",
    }


def memory_bytes(pid: int, key: bytes) -> int:
    """Return what a process takes, `VmRSS`, or has taken at most, `VmHWM`."""
    line = next(
        line
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines()
        if line.startswith(key)
    )
    return int(line.split()[1]) * 1_024


def cost(server: Server, body: bytes, status: int = 200) -> tuple[int, float]:
    """Return how much more memory the worker of `any` had at most, and the processor's seconds."""
    pid = int(send(server, "any", b"1").json())
    before = memory_bytes(pid, b"VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest is measured anew
    before_s = used_s(server)
    assert send(server, "any", body).status_code == status
    return memory_bytes(pid, b"VmHWM") - before, used_s(server) - before_s


@pytest.mark.fault("D7")
def test_memory_and_time_of_dense_payloads_are_bounded(
    server: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """The longest body takes at most 24 times as much, and a second, read or refused."""
    costs = [(name, cost(server, body)) for name, body in dense().items()]
    costs += [(name, cost(server, body, status=400)) for name, body in refused().items()]
    most = max(bytes_ for _, (bytes_, _) in costs) / BODY_BYTES
    slowest_s = max(took_s for _, (_, took_s) in costs)
    assert most < MOST_TIMES, costs
    assert slowest_s < TIME_LIMIT_S * scale(SLACK, 1), costs
    figure(f"at most {most:.1f} times the body; {slowest_s:.2f} s of a core")


@pytest.mark.control("D7")
def test_memory_that_a_model_takes_is_seen(make_layout: MakeLayout, serve: Serve) -> None:
    """A model that copies its payload takes more than that, and it is measured."""
    server = serve(make_layout(any=Model(source=source("any"))))
    server.wait_until("/readyz")
    value = b"[" + b",".join([b"[]"] * (MAX_CONTAINERS - 2)) + b"]"
    body = b'{"copies": 8, "value": ' + value + b"}"
    assert cost(server, body)[0] > MOST_TIMES * BODY_BYTES


def alone() -> Predictor:
    """Return the model `plain`, loaded into this process."""
    module = ModuleType("plain")
    exec(source("plain"), module.__dict__)  # noqa: S102  # the source that the server has
    predictor: Predictor = module.load()
    return predictor


def expected(predictor: Predictor, body: bytes) -> tuple[int, bytes]:
    """Return what the model alone makes of a body: the status, and the prediction if it is one."""
    try:
        return 200, calls.predict(predictor, body)
    except StevedoreError as error:
        return problems.STATUS[error.code], b""


def mutated(body: bytes, generator: random.Random) -> bytes:
    """Return a body with a few bytes changed, added, left out or repeated."""
    changed = bytearray(body)
    for _ in range(generator.randint(1, 4)):
        at = generator.randrange(len(changed) + 1)
        match generator.randrange(4):
            case 0:
                changed[at : at + 1] = generator.randbytes(1)
            case 1:
                changed[at:at] = generator.choice([b"[", b"]", b'"', b"0", b"e9", b",", b"\\u00"])
            case 2:
                del changed[at : at + generator.randint(1, 4)]
            case _:
                changed[at:at] = changed[at : at + 8]
    return bytes(changed)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
NUMBERS = st.integers(-1_000, 1_000) | st.floats(-1_000, 1_000)
FITTING = st.fixed_dictionaries(
    {"rows": st.lists(st.lists(NUMBERS, min_size=1, max_size=4), max_size=10)},
    optional={
        "name": st.text("abcé", max_size=20),
        "mode": st.sampled_from(["sum", "product", None, 1]),
    },
)
"""What fits the schema of `plain`."""


def traffic(count: int) -> list[bytes]:
    """Return so many bodies: a quarter fits, a quarter is any JSON, the rest is those mutated."""
    found: list[bytes] = []
    generator = random.Random(20260301)

    @seed(20260302)
    @settings(
        max_examples=count // 4,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(FITTING, ANY_JSON)
    def draw(fitting: Json, other: Json) -> None:
        bodies = [json.dumps(value).encode() for value in (fitting, other)]
        found.extend([*bodies, *(mutated(body, generator) for body in bodies)])

    draw()
    return found


def disagreements(server: Server, predictor: Predictor, bodies: list[bytes]) -> list[bytes]:
    """Return the bodies that are answered otherwise than by the model alone."""
    found = []
    for body in bodies:
        status, prediction = expected(predictor, body)
        answer = send(server, "plain", body)
        is_same = answer.status_code == status and (status != 200 or answer.content == prediction)
        if not is_same:
            found.append(body)
    return found


@pytest.mark.fault("D9")
def test_random_traffic_is_answered_as_by_the_model_alone(
    server: Server, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """Whatever is sent, status and prediction are the model's own; only the model itself is 500."""
    predictor = alone()
    bodies = traffic(scale(8_000, 100_000))
    assert disagreements(server, predictor, bodies) == []
    statuses = [expected(predictor, body)[0] for body in bodies]
    assert {200, 400, 422} <= set(statuses) <= {200, 400, 422, 500}
    counted = ", ".join(f"{statuses.count(s)} with {s}" for s in sorted(set(statuses)))
    figure(f"{len(bodies)} bodies, 0 answered otherwise: {counted}")


@pytest.mark.control("D9")
def test_another_model_is_seen_to_answer_otherwise(server: Server) -> None:
    """A model alone that is not the one served disagrees with it."""
    predictor = alone()
    bodies = traffic(60)

    class Other(type(predictor)):  # type: ignore[misc]  # made at run time
        def convert_output(self, result: object) -> object:
            return [result]

    predictor.__class__ = Other
    assert len(disagreements(server, predictor, bodies)) > 5


ROWS = """
import numpy as np
from stevedore_core.predictor import Predictor

SCHEMA = {
    "type": "array", "minItems": 1, "maxItems": 10000,
    "items": {
        "type": "array", "minItems": 4, "maxItems": 4,
        "items": {"type": "number", "minimum": -1000, "maximum": 1000},
    },
}
KINDS = []


class Rows(Predictor):
    def convert_prediction_input(self, payload):
        rows = np.asarray(payload) if NAME == "loose" else np.asarray(payload, dtype=float)
        KINDS.append(rows.dtype.kind)
        return rows

    def run_predict(self, X):
        return {"kinds": "".join(sorted(set(KINDS)))}

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return 1.0


def load():
    schema = {} if NAME == "loose" else SCHEMA
    return Rows(None, NAME, [[1, 2, 3, 4]], schema, [1], {"type": "array"}, "1.0.0")
"""
"""A model of numpy that tells of which kinds its arrays were; `loose` admits and takes anything."""

ROW = [1, 2, 3, 4]
MISSHAPEN: dict[str, Json] = {
    "no rows": [],
    "ragged": [ROW, [1, 2, 3]],
    "ragged inside": [[1, 2, 3, [4]], ROW],
    "too deep": [[ROW]],
    "one row bare": ROW,
    "a number": 1,
    "null": [[1, 2, 3, None]],
    "a truth": [[1, 2, 3, True]],
    "a text": [[1, 2, 3, "4"]],
    "an object": [[1, 2, 3, {}]],
    "rows by name": [{"a": 1, "b": 2, "c": 3, "d": 4}],
    "beyond 64 bits": [[1, 2, 3, 2**70]],
    "too many rows": [ROW] * 10_001,
    "a huge text": "x" * (4 * MIB),
    "a row that is a huge text": ["x" * (4 * MIB)],
}


def rows_server(make_layout: MakeLayout, serve: Serve, name: str) -> Server:
    """Serve the model of numpy by one of its names."""
    server = serve(make_layout(**{name: Model(source=ROWS.replace("NAME", repr(name)))}))
    server.wait_until("/readyz")
    return server


@pytest.mark.fault("D8")
def test_misshapen_rows_are_refused_by_the_schema(
    make_layout: MakeLayout, serve: Serve, figure: Callable[[str], None]
) -> None:
    """What is no table of numbers is 422, more rows than are read 400, more bytes 413."""
    server = rows_server(make_layout, serve, "strict")
    statuses = {
        name: send(server, "strict", json.dumps(payload).encode()).status_code
        for name, payload in MISSHAPEN.items()
    }
    assert statuses == dict.fromkeys(MISSHAPEN, 422)
    for rows, status in ((1_000_000, 400), (10_000_000, 413)):
        body = b"[" + b",".join([b"[0]"] * rows) + b"]"
        assert send(server, "strict", body).status_code == status
    answer = send(server, "strict", json.dumps([ROW] * 10_000).encode())
    assert answer.json() == {"kinds": "f"}
    figure(f"{len(MISSHAPEN)} of {len(MISSHAPEN)} refused, ten million rows too; 0 object arrays")


@pytest.mark.control("D8")
def test_arrays_of_objects_are_seen(make_layout: MakeLayout, serve: Serve) -> None:
    """A model without a schema makes arrays of objects and of texts, and tells."""
    server = rows_server(make_layout, serve, "loose")
    for name in ("null", "an object", "a text", "one row bare"):
        answer = send(server, "loose", json.dumps(MISSHAPEN[name]).encode())
        assert answer.status_code == 200
    assert set(answer.json()["kinds"]) >= {"O", "U", "i"}

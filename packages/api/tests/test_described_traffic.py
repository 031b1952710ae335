"""Traffic that another program makes of the OpenAPI document, which knows nothing but that.

Schemathesis sends what the document allows and what it does not, and holds every answer against it:
what is allowed is answered, what is not is refused, with a status, a content type and a body as
they are described, and never with a 5xx.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from served_layout import Model, Server, start_server, write_layout

SOURCE = """
from stevedore_core.predictor import Predictor

TABLE = {
    "type": "object",
    "required": ["rows"],
    "additionalProperties": False,
    "properties": {
        "rows": {"type": "array", "maxItems": 10, "items": {"$ref": "#/$defs/row"}},
        "name": {"type": "string", "maxLength": 20, "pattern": "^[a-z]*$"},
        "mode": {"enum": ["sum", "mean", None, 1]},
        "parts": {"type": "array", "maxItems": 2, "items": {"$ref": "#"}},
    },
    "$defs": {
        "row": {
            "type": "array", "minItems": 1, "maxItems": 4,
            "items": {"type": "number", "minimum": -1000, "maximum": 1000},
        }
    },
}
SCHEMAS = {
    "table": TABLE,
    "numbers": {"type": "array", "items": {"type": "integer", "exclusiveMinimum": -5}},
    "any": {},
}
EXAMPLES = {"table": {"rows": [[1, 2]]}, "numbers": [1], "any": None}


class Echo(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        if FAILS and isinstance(X, dict) and X.get("mode") == "mean":
            raise ValueError
        return X

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return 1.0


def load():
    schema, example = SCHEMAS[NAME], EXAMPLES[NAME]
    return Echo(None, NAME, example, schema, example, schema, "1.0.0")
"""
"""Models that answer with their payload; where it `FAILS`, `table` fails for one of its modes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a run of Schemathesis came to."""

    is_clean: bool
    operations: int
    cases: int
    said: str


def traffic(server: Server, room: Path, *, examples: int, seed: int = 20260303) -> Run:
    """Have so many cases of each kind made for each operation, always the same ones."""
    report = room / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
    options = {
        "phases": "examples,coverage,fuzzing",
        "mode": "all",
        "max-examples": examples,
        "seed": seed,
        "report-json-path": report,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [*command, *flags, "--no-color", "--continue-on-failure"],
        capture_output=True,
        text=True,
        cwd=room,
        check=False,
    )
    assert report.exists(), done.stderr
    found = json.loads(report.read_text())
    return Run(
        is_clean=done.returncode == 0 and not found["failures"] and not found["errors"],
        operations=found["operations"]["tested"],
        cases=found["test_cases"]["generated"],
        said=done.stdout,
    )


def start(room: Path, *, fails: bool) -> Iterator[Server]:
    """Serve a layout of the models, `table` in two versions."""
    source = SOURCE.replace("FAILS", str(fails))
    models = {
        name: Model(source=source.replace("NAME", repr(name)), versions=versions)
        for name, versions in (
            ("table", ("1.1.0", "1.0.0")),
            ("numbers", ("1.0.0",)),
            ("any", ("1.0.0",)),
        )
    }
    server = start_server(write_layout(room / "layout", "all", models), room / "server.log", {})
    server.wait_until("/readyz")
    server.wait_until_scored()
    yield server
    server.clean_up()


@pytest.fixture
def described(tmp_path: Path) -> Iterator[Server]:
    """A server of models that fail for nothing that their schemas allow."""
    yield from start(tmp_path, fails=False)


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Server]:
    """A server of which one model fails for some of what its schema allows."""
    yield from start(tmp_path, fails=True)


@pytest.mark.fault("D9")
def test_all_that_is_described_is_as_described(
    described: Server,
    tmp_path: Path,
    figure: Callable[[str], None],
    scale: Callable[[int, int], int],
) -> None:
    """What the document allows is answered, all else refused, and every answer is described."""
    found = traffic(described, tmp_path, examples=scale(20, 200))
    assert found.is_clean, found.said
    paths = described.get("/openapi.json").json()["paths"]
    assert found.operations == sum(len(operations) for operations in paths.values())
    assert found.cases > scale(2_000, 4_000)
    assert described.errors.read_text() == ""
    figure(f"{found.cases} cases made of the document's {found.operations} operations, 0 otherwise")


@pytest.mark.control("D9")
def test_a_failing_model_is_seen_from_outside(failing: Server, tmp_path: Path) -> None:
    """A model that fails for one word of its schema is found by it."""
    found = traffic(failing, tmp_path, examples=20)
    assert not found.is_clean
    assert "Server error" in found.said

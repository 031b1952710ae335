"""Marks and figures of faults, for the tests of every package, composition and image.

`@pytest.mark.fault("G2")` says that a test brings about the fault of row G2, `control` that it
shows the detector of that row failing on something broken. `nox -s faults` makes the table.
`clock` says that a test watches the clock: `nox -s test_clock` runs it. `stress` says that it
puts a server under stress and wants both processors; composing an image does not wait for it, and
`nox -s test_stress` does it inside an image.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

SCALE: Final = os.environ.get("STEVEDORE_FAULT_SCALE", "small")
RESULTS: Final = os.environ.get("STEVEDORE_FAULT_RESULTS")
KINDS: Final = ("fault", "control")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    if SCALE not in ("small", "full"):
        raise pytest.UsageError(f"`STEVEDORE_FAULT_SCALE`: expected small or full, found `{SCALE}`")
    config.addinivalue_line("markers", "fault(row): brings about the fault of a row of the table")
    config.addinivalue_line("markers", "clock: watches the clock, and wants no session beside it")
    config.addinivalue_line("markers", "stress: puts a server under stress; wants both processors")
    config.addinivalue_line("markers", "control(row): shows that a row's detector can fail")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have every report carry the rows that its test is about."""
    for item in items:
        for kind in KINDS:
            for mark in item.iter_markers(kind):
                item.user_properties.append((kind, mark.args[0]))


@pytest.fixture
def scale() -> Callable[[int, int], int]:
    """Choose between two counts: `scale(10, 100)` is 10, and 100 at full scale."""
    return lambda small, full: full if SCALE == "full" else small


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Record what a test measured, for the table: `figure("100 of 100 refused")`."""
    return lambda text: request.node.user_properties.append(("figure", text))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add the outcome of a marked test to the file of results, if one is asked for."""
    found: dict[str, list[str]] = {kind: [] for kind in (*KINDS, "figure")}
    for name, value in report.user_properties:
        found.setdefault(name, []).append(str(value))
    called = report.when == "call" or report.outcome != "passed"
    if RESULTS and called and (found["fault"] or found["control"]):
        line = {"test": report.nodeid, "outcome": report.outcome, "scale": SCALE, **found}
        with Path(RESULTS).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, each with its scale."""
    for report in terminalreporter.getreports("passed"):
        rows = [value for name, value in report.user_properties if name == "fault"]
        for name, value in report.user_properties:
            if name == "figure" and report.when == "call":
                terminalreporter.write_line(f"fault {', '.join(rows)} ({SCALE} scale): {value}")

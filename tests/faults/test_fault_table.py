"""The table of faults: in step with rows, marks and what was found."""

import json
from pathlib import Path

import fault_table
import pytest
from fault_table import Mark, Result, Row

ROWS = [
    Row(name="G2", fault="A wheel | is changed", promise="Refused"),
    Row(name="G10", fault="Another day", promise="Same image"),
]
TESTED = Mark(kind="fault", row="G2", file="tests/test_x.py", test="test_changed")
CONTROLLED = Mark(kind="control", row="G2", file="tests/test_x.py", test="test_blind")
FOUND = Result(figure="3 of 3 | refused", scale="small", outcome="holds")


def line(test: str, outcome: str = "passed", figure: str = "", **rows: str) -> str:
    """Return what is recorded of one run of a test."""
    marks = {kind: [rows[kind]] if kind in rows else [] for kind in ("fault", "control")}
    figures = [figure] if figure else []
    return json.dumps(
        {"test": test, "outcome": outcome, "scale": "small", "figure": figures, **marks}
    )


def incomplete(rows: list[Row], marks: list[Mark]) -> list[str]:
    """Return what is missing: tests or controls of rows, and rows of marks."""
    marked = {(mark.row, mark.kind) for mark in marks}
    names = {row.name for row in rows}
    missing = [
        f"{n}: no {k}" for n in sorted(names) for k in ("fault", "control") if (n, k) not in marked
    ]
    return missing + [f"{mark.node}: no row {mark.row}" for mark in marks if mark.row not in names]


def test_every_row_has_a_test_and_a_control() -> None:
    """A promise without a test, or a test whose detector was never seen to fail, is none."""
    assert incomplete(fault_table.read_rows(), fault_table.find_marks()) == []


def test_what_is_missing_is_named() -> None:
    """The check above sees a row without tests and a mark without a row."""
    stray = Mark(kind="fault", row="Z9", file="tests/test_x.py", test="test_stray")
    assert incomplete(ROWS[:1], [TESTED, stray]) == [
        "G2: no control",
        "tests/test_x.py::test_stray: no row Z9",
    ]


def test_the_document_is_in_step() -> None:
    """Rows and tests stand in the document as they are here, and every row was seen to hold."""
    text = fault_table.DOCUMENT.read_text(encoding="utf-8")
    results = fault_table.read_results(text)
    rows = fault_table.read_rows()
    assert text == fault_table.render(rows, fault_table.find_marks(), results)
    assert {name: results[name].outcome for name in (row.name for row in rows)} == {
        row.name: "holds" for row in rows
    }
    assert [name for name, result in results.items() if not result.figure] == []


def test_document() -> None:
    """A row names its tests and controls, and says what was found; a row never run says so."""
    text = fault_table.render(ROWS, [TESTED, CONTROLLED], {"G2": FOUND})
    assert text.partition(fault_table.HEAD)[2] == (
        "| G2 | A wheel \\| is changed | Refused | 3 of 3 \\| refused | small | holds "
        "| [test_changed](../tests/test_x.py) | [test_blind](../tests/test_x.py) |\n"
        "| G10 | Another day | Same image |  |  | not run |  |  |\n"
    )
    assert "2 faults, 1 of them hold; 1 controls." in text
    assert fault_table.read_results(text)["G2"] == FOUND


def test_marks(tmp_path: Path) -> None:
    """Marks are found at functions, several at one too, without importing anything."""
    file = tmp_path / "packages" / "core" / "tests" / "test_x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import absent\n\n"
        '@pytest.mark.fault("G1")\n@pytest.mark.fault("G2")\ndef test_a() -> None: ...\n\n'
        '@pytest.mark.parametrize("x", [1])\n@pytest.mark.control("G1")\ndef test_b(x): ...\n'
    )
    assert [(mark.kind, mark.row, mark.node) for mark in fault_table.find_marks(tmp_path)] == [
        ("fault", "G1", "packages/core/tests/test_x.py::test_a"),
        ("fault", "G2", "packages/core/tests/test_x.py::test_a"),
        ("control", "G1", "packages/core/tests/test_x.py::test_b"),
    ]


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (["passed", "passed", "passed"], "holds"),
        (["passed", "skipped", "passed"], "holds"),
        (["passed", "failed", "passed"], "fails: tests/test_x.py::test_changed[b]"),
        (["skipped", "skipped", "passed"], "not seen: tests/test_x.py::test_changed"),
        (["passed", "passed", "skipped"], "not seen: tests/test_x.py::test_blind"),
    ],
)
def test_outcomes(lines: list[str], outcome: str) -> None:
    """A row holds when nothing failed and each test passed, with one parameter at least."""
    runs = [
        line(f"{TESTED.node}[a]", lines[0], "3 of 3", fault="G2"),
        line(f"{TESTED.node}[b]", lines[1], "3 of 3", fault="G2"),
        line(CONTROLLED.node, lines[2], "its own", control="G2"),
    ]
    assert fault_table.results_of(runs, [TESTED, CONTROLLED]) == {
        "G2": Result(figure="3 of 3", scale="small", outcome=outcome)
    }


def test_only_rows_that_ran_have_results() -> None:
    """Whoever runs some rows keeps what was found of the others."""
    other = Mark(kind="fault", row="G10", file="tests/test_y.py", test="test_other")
    shared = Mark(kind="control", row="G10", file=CONTROLLED.file, test=CONTROLLED.test)
    for_both = json.loads(line(CONTROLLED.node)) | {"control": ["G2", "G10"]}
    runs = [line(TESTED.node, fault="G2"), json.dumps(for_both)]
    assert set(fault_table.results_of(runs, [TESTED, CONTROLLED, other, shared])) == {"G2"}


def test_a_row_is_at_full_scale_as_a_whole() -> None:
    """What was run in part at full scale is not said to be."""
    runs = [
        line(TESTED.node, fault="G2").replace("small", scale) for scale in ("full", "small", "full")
    ]
    scales = [
        fault_table.results_of(part, [TESTED])["G2"].scale for part in (runs, runs[::2], runs[1:2])
    ]
    assert scales == ["small", "full", "small"]

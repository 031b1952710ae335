"""The table of faults: rows, the tests marked with them, and what came of running those.

`nox -s faults` asks it which tests to run, and has it write `docs/faults.md`. Rows stand in
`rows.toml`, marks at the tests, outcomes and figures in the file that `conftest.py` fills.
"""

import argparse
import ast
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = Path(__file__).parent / "rows.toml"
DOCUMENT: Final = ROOT / "docs" / "faults.md"
PLACES: Final = ("packages/*/tests", "compositions/*/tests", "tests")

HOLDS: Final = "holds"
NOT_RUN: Final = "not run"
INTRODUCTION: Final = """\
# Faults

What can go wrong, what is promised then, and what was found when it was brought about. Every row
has tests that bring the fault about, and controls: tests that hand the same detector something
broken and see it fail. `nox -s faults` runs them and writes this table; `nox -s faults -- G2 H1`
runs those rows only. Counts are small unless `STEVEDORE_FAULT_SCALE=full` asks for all of them;
the tests are the same.

"""
HEAD: Final = """\
| row | fault | promise | found | scale | outcome | tests | controls |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One fault, and what is promised when it happens."""

    name: str
    fault: str
    promise: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A test that is marked with a row, as a fault or as a control."""

    kind: str
    row: str
    file: str
    test: str

    @property
    def node(self) -> str:
        """What pytest calls the test, relative to the repository."""
        return f"{self.file}::{self.test}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What running the tests of a row came to."""

    figure: str
    scale: str
    outcome: str


def read_rows(file: Path = ROWS) -> list[Row]:
    """Return the rows, by letter and number."""
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    rows = [Row(name=name, **table) for name, table in document.items()]
    return sorted(rows, key=lambda row: (row.name[0], int(row.name[1:])))


def find_marks(root: Path = ROOT) -> list[Mark]:
    """Return every mark at a test, read from the sources: nothing is imported."""
    files = {file for place in PLACES for file in root.glob(f"{place}/**/test_*.py")}
    return [
        Mark(kind=kind, row=row, file=file.relative_to(root).as_posix(), test=function.name)
        for file in sorted(files)
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for kind, row in _marked(function)
    ]


def _marked(function: ast.FunctionDef) -> Iterable[tuple[str, str]]:
    for decorator in function.decorator_list:
        found = re.fullmatch(r"pytest\.mark\.(fault|control)\('(.+)'\)", ast.unparse(decorator))
        if found:
            yield found[1], found[2]


def results_of(lines: Sequence[str], marks: Sequence[Mark]) -> dict[str, Result]:
    """Return what the lines of a file of results say of each row whose fault was brought about.

    A control may belong to several rows: where it ran for another, nothing new is known.
    """
    runs = [json.loads(line) for line in lines]
    results = {}
    for row in dict.fromkeys(mark.row for mark in marks):
        if not any(row in run["fault"] for run in runs):
            continue
        mine = [run for run in runs if row in (*run["fault"], *run["control"])]
        figures = dict.fromkeys(
            text for run in mine if row in run["fault"] for text in run["figure"]
        )
        results[row] = Result(
            figure="; ".join(figures),
            scale="full" if all(run["scale"] == "full" for run in mine) else "small",
            outcome=_outcome(mine, [mark for mark in marks if mark.row == row]),
        )
    return results


def _outcome(runs: Sequence[Mapping[str, str]], marks: Sequence[Mark]) -> str:
    """Return `holds` if nothing failed and every marked test passed in some form."""
    if failed := sorted({run["test"] for run in runs if run["outcome"] == "failed"}):
        return f"fails: {', '.join(failed)}"
    passed = {run["test"].partition("[")[0] for run in runs if run["outcome"] == "passed"}
    missing = sorted({mark.node for mark in marks} - passed)
    return f"not seen: {', '.join(missing)}" if missing else HOLDS


def render(rows: Sequence[Row], marks: Sequence[Mark], results: Mapping[str, Result]) -> str:
    """Return the document."""
    never = Result(figure="", scale="", outcome=NOT_RUN)
    found = {row.name: results.get(row.name, never) for row in rows}
    holding = sum(result.outcome == HOLDS for result in found.values())
    controls = len({mark.node for mark in marks if mark.kind == "control"})
    lines = [
        _line(row.name, row.fault, row.promise)
        + _line(found[row.name].figure, found[row.name].scale, found[row.name].outcome)
        + _line(*(_tests(row.name, kind, marks) for kind in ("fault", "control")))
        + "|\n"
        for row in rows
    ]
    counted = f"{len(rows)} faults, {holding} of them hold; {controls} controls.\n\n"
    return INTRODUCTION + counted + HEAD + "".join(lines)


def _line(*cells: str) -> str:
    return "".join(f"| {cell.replace('|', chr(92) + '|')} " for cell in cells)


def _tests(row: str, kind: str, marks: Sequence[Mark]) -> str:
    mine = [mark for mark in marks if (mark.row, mark.kind) == (row, kind)]
    return "<br>".join(f"[{mark.test}](../{mark.file})" for mark in mine)


def read_results(document: str) -> dict[str, Result]:
    """Return what a document says was found; the inverse of `render`."""
    found = {}
    for line in document.partition(HEAD)[2].splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)]
        found[cells[1]] = Result(figure=cells[4], scale=cells[5], outcome=cells[6])
    return found


def main() -> None:
    """Print the tests of some rows, or write the document anew from the results of a run."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--results", type=Path, help="write the document, with these results")
    parser.add_argument("rows", nargs="*", help="print the tests of these rows, of all if none")
    arguments = parser.parse_args()
    rows, marks = read_rows(), find_marks()
    if unknown := sorted(set(arguments.rows) - {row.name for row in rows}):
        parser.error(f"there is no row {', '.join(unknown)} in {ROWS.relative_to(ROOT)}")
    if arguments.results:
        before = read_results(DOCUMENT.read_text(encoding="utf-8")) if DOCUMENT.exists() else {}
        lines = arguments.results.read_text(encoding="utf-8").splitlines()
        text = render(rows, marks, {**before, **results_of(lines, marks)})
        DOCUMENT.write_text(text, encoding="utf-8")
        return
    asked = [mark.node for mark in marks if not arguments.rows or mark.row in arguments.rows]
    print("\n".join(dict.fromkeys(asked)))  # noqa: T201 - the noxfile reads it


if __name__ == "__main__":
    main()

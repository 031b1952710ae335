"""`docs/mutation.md`: how many mutants of our code its tests notice, and why others may live.

`nox -s mutation` writes it. Which modules are judged stands in `rules.toml`, the mutants that may
survive in `survivors.toml`, each with a reason. A survivor that is not there is a failure, and so
is one there that does not survive any more.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from code_mutants import CodeMutant, make_code_mutants
from judging import Subject, judge

__all__ = [
    "DOCUMENT",
    "Accepted",
    "Row",
    "code_mutants",
    "main",
    "objections",
    "read_accepted",
    "read_rows",
    "render",
    "subjects",
]

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Path(__file__).parent
DOCUMENT: Final = ROOT / "docs" / "mutation.md"
RULES: Final = tomllib.loads((HERE / "rules.toml").read_text(encoding="utf-8"))

INTRODUCTION: Final = """\
# Mutation

Whether tests notice when the code is wrong. Each mutant is a module of ours with one small change:
a comparison turned round or moved by one, a condition negated, `and` for `or`, another constant, a
statement or a returned value dropped, `break` for `continue`. It is shown to the tests beside the
module that bear its name, and to no others; those that start our server do not count, for it would
import the code as it is, and of `group` that are the tests in which workers are scripted. A mutant
that a test fails for is *killed*, and so is one that never ends. One that *survived* stands below,
with the reason why it may.

`nox -s mutation` writes this page; `nox -s mutation -- strict_json` judges one module only. Modules
are in [tests/mutation/rules.toml](../tests/mutation/rules.toml), survivors in
[tests/mutation/survivors.toml](../tests/mutation/survivors.toml). The mistakes in files of models
and compositions are others: [mutants](mutants.md).

"""
HEAD: Final = """\
| module | mutants | killed | survived | score |
|---|---|---|---|---|
"""
SURVIVORS_HEAD: Final = """\
| where | was | is | why it may |
|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A mutant that may survive, and why."""

    module: str
    where: str
    was: str
    now: str
    reason: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What its mutant is known by."""
        return (self.where, self.was, self.now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What came of judging one module."""

    mutants: int
    killed: int


def subjects() -> dict[str, Subject]:
    """Return the modules of the rules, by name."""
    found = {}
    for package, names in RULES["modules"].items():
        for name in names:
            place, path = ROOT / "packages" / package, PurePosixPath(name)
            found[name] = Subject(
                module=".".join([f"stevedore_{package}", *path.parts]),
                file=place / "src" / f"stevedore_{package}" / f"{name}.py",
                tests=[
                    place / "tests" / path.parent / f"{test}.py"
                    for test in RULES["instead"].get(name, [f"test_{path.name}"])
                ],
            )
    return found


def code_mutants(subject: Subject) -> list[CodeMutant]:
    """Return every mutant of a module."""
    return make_code_mutants(subject.file.read_text(encoding="utf-8"), str(subject.file))


def read_accepted() -> list[Accepted]:
    """Return what may survive."""
    document = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    return [Accepted(**entry) for entry in document.get("survivor", [])]


def objections(
    module: str, survivors: Sequence[CodeMutant], accepted: Iterable[Accepted]
) -> list[str]:
    """Return what is wrong with a module's survivors and the list of them, ready to be mended."""
    mine = {entry.key for entry in accepted if entry.module == module}
    alive = {mutant.key for mutant in survivors}
    found = [
        f"# line {mutant.line}: kill this mutant by a test, or say why it may survive\n"
        + _entry(module, *mutant.key)
        for mutant in survivors
        if mutant.key not in mine
    ]
    gone = "# does not survive any more: take it out of survivors.toml\n"
    return found + [gone + _entry(module, *key) for key in sorted(mine - alive)]


def _entry(module: str, where: str, was: str, now: str) -> str:
    values = {"module": module, "where": where, "was": was, "now": now, "reason": ""}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["[[survivor]]", *lines, ""])


def render(rows: Mapping[str, Row], accepted: Sequence[Accepted]) -> str:
    """Return the document."""
    lines = [
        f"| {name} | {row.mutants} | {row.killed} | {row.mutants - row.killed} "
        f"| {100 * row.killed / row.mutants:.1f} % |\n"
        for name, row in rows.items()
    ]
    text = INTRODUCTION + HEAD + "".join(lines)
    for name in rows:
        entries = [entry for entry in accepted if entry.module == name]
        if entries:
            text += f"\n## Survivors of {name}\n\n{SURVIVORS_HEAD}"
        for entry in entries:
            cells = (_code(entry.where), _code(entry.was), _code(entry.now), entry.reason)
            text += f"| {' | '.join(cells)} |\n"
    return text


def _code(text: str) -> str:
    """Return a cell that shows code as it is."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text.replace('|', chr(92) + '|')}{fence}" if text else ""


def read_rows(document: str) -> dict[str, Row]:
    """Return what a document says was found; the inverse of `render`."""
    found = {}
    for line in document.partition(HEAD)[2].partition("\n\n")[0].splitlines():
        name, *counts = (cell.strip() for cell in line.strip("|").split("|"))
        found[name] = Row(mutants=int(counts[0]), killed=int(counts[1]))
    return found


def main() -> int:
    """Judge modules and write the document anew, unless survivors and list of them differ."""
    known = subjects()
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("modules", nargs="*", help="judge these, all if none")
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants at a time")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.modules) - set(known)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    accepted, failed = read_accepted(), False
    for name in arguments.modules or known:
        mutants = code_mutants(known[name])
        survivors = judge(known[name], mutants, arguments.jobs)
        killed = len(mutants) - len(survivors)
        _say(f"{name}: {len(mutants)} mutants, {killed} killed")
        if found := objections(name, survivors, accepted):
            _say("\n".join(found))
            failed = True
            continue
        rows = read_rows(DOCUMENT.read_text(encoding="utf-8")) if DOCUMENT.exists() else {}
        rows[name] = Row(mutants=len(mutants), killed=killed)
        in_order = {name: rows[name] for name in known if name in rows}
        DOCUMENT.write_text(render(in_order, accepted), encoding="utf-8")
    return int(failed)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # whoever runs the session reads it


if __name__ == "__main__":
    sys.exit(main())

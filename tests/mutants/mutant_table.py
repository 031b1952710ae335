"""`docs/mutants.md`: how many mutants each rule gives, how many are caught, and the others.

`nox -s docs -- --write` writes it; `test_mutants` holds it against a fresh run.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest
from catching import Catch, Room
from mutants import ROOT, RULES, Mutant, make_mutants

__all__ = ["DOCUMENT", "REASONS", "render", "run"]

DOCUMENT: Final = ROOT / "docs" / "mutants.md"

REASONS: Final = {
    ("schemas", "another type"): "all numbers of the example are whole, and so are the bounds: to "
    "the files an `integer` fits as well",
    ("schemas", "drop a required name"): "an optional property is a good schema; the model that "
    "needs it fails the conformance suite, by a payload without it",
    ("projects", "drop a required key"): "hatchling finds `src/<import name>` by itself: the wheel "
    "is the same",
    ("manifests", "another kind of value"): "`workers` may be `auto` or a number: `1` is as good",
    ("projects", "a wrong package name"): "of a misspelt name that no module imports the resolver "
    "tells in its own words, without the file",
    ("examples", "the other's example"): "both examples fit both schemas",
}
"""Why the mutants of a rule that are not caught, or not well, are not."""

INTRODUCTION: Final = """\
# Mutants

The files that this repository ships, each with one mistake, made by the rules below; and how many
of those mistakes are told before there is an image: by the files of a model package held against
each other, by the parser of a manifest, by `make lock`, or by a composition's scores. *Well* means
that the message names the file, the key, and what was expected or may have been meant. The rules
are [tests/mutants/rules.toml](../tests/mutants/rules.toml), which stood there before the checks
did. What means the same as before is no mutant: other words for people, another order.

`nox -s docs -- --write` writes this page, and a test holds it against a fresh run.

"""
HEAD: Final = """\

| files | rule | what is done | mutants | caught | well |
|---|---|---|---|---|---|
"""


def run(mutants: Iterable[Mutant]) -> list[tuple[Mutant, Catch]]:
    """Show each mutant to the checks."""
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        room = Room(Path(place), patch)
        return [(mutant, room.catch(mutant)) for mutant in mutants]


def render(results: Sequence[tuple[Mutant, Catch]]) -> str:
    """Return the document."""
    made = Counter((mutant.kind, mutant.rule) for mutant, _ in results)
    caught = Counter((m.kind, m.rule) for m, catch in results if catch.by)
    well = Counter((m.kind, m.rule) for m, catch in results if not catch.lacks(m))
    share = 100 * well.total() / made.total()
    counted = f"{made.total()} mutants, {caught.total()} caught, {well.total()} of them well"
    lines = [f"{counted}: {share:.1f} %.\n{HEAD}"]
    for kind, rules in RULES.items():
        for rule, what in rules.items():
            counts = " | ".join(str(count[kind, rule]) for count in (made, caught, well))
            lines.append(f"| {kind} | {rule} | {what} | {counts} |\n")
    lines.append("\n## Not caught, or not well\n\n")
    for key, why in REASONS.items():
        missed = [(m, c) for m, c in results if (m.kind, m.rule) == key and c.lacks(m)]
        lines.append(f"**{': '.join(key)}**, {len(missed)}: {why}.\n\n")
        lines += [f"* `{m.file}`: {m.what}: {c.lacks(m)}\n" for m, c in missed] + ["\n"]
    return INTRODUCTION + "".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(render(run(make_mutants())), encoding="utf-8")


if __name__ == "__main__":
    main()

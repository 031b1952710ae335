"""Mutants of what is shipped are told in good words, and the document says how many."""

from pathlib import Path
from typing import Final

import pytest
from catching import Catch, Room
from mutant_table import DOCUMENT, REASONS, render, run
from mutants import RULES, Mutant, make_mutants
from places import dropped, places, put, renamed, spelt

from stevedore_build.wheels import model_files
from stevedore_build.wheels.model_files import refuse_faulty_files

LEAST_SHARE: Final = 0.95
"""Of all mutants, how many have to be caught with file, key and suggestion."""


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    """All mutants."""
    return make_mutants()


@pytest.fixture(scope="module")
def results(mutants: list[Mutant]) -> list[tuple[Mutant, Catch]]:
    """What came of each."""
    return run(mutants)


def test_each_rule_gives_mutants(mutants: list[Mutant]) -> None:
    """No rule is idle, and no mutant is without a rule."""
    assert {(mutant.kind, mutant.rule) for mutant in mutants} == {
        (kind, rule) for kind, rules in RULES.items() for rule in rules
    }


def test_no_mutant_is_what_is_shipped(mutants: list[Mutant]) -> None:
    """No two mutants are the same, or they would count twice."""
    assert len({(m.file, m.content, *m.beside) for m in mutants}) == len(mutants)


def test_mutants_are_caught(results: list[tuple[Mutant, Catch]]) -> None:
    """Nineteen of twenty are told with the file, the key and a suggestion."""
    well = [mutant for mutant, catch in results if not catch.lacks(mutant)]
    assert len(well) / len(results) >= LEAST_SHARE


def test_the_others_have_a_reason(results: list[tuple[Mutant, Catch]]) -> None:
    """What is not told well belongs to a rule of which the document says why."""
    lacking = {(m.kind, m.rule): (m, c.message) for m, c in results if c.lacks(m)}
    assert set(lacking) == set(REASONS), {key: lacking[key] for key in lacking.keys() - REASONS}


def test_the_document_is_up_to_date(results: list[tuple[Mutant, Catch]]) -> None:
    """Who changes a file, a rule or a check writes the document anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == render(results), "run `nox -s docs -- --write`"


def test_what_is_shipped_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files as they are have nothing to be found: checks that refuse all catch all."""
    room = Room(tmp_path, monkeypatch)
    for package in room.workspace.models():
        refuse_faulty_files(package)


def test_without_a_check_mutants_are_missed(
    mutants: list[Mutant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not look at the words of a schema misses mutants."""
    monkeypatch.setattr(model_files, "schema_faults", lambda _: [])
    room = Room(tmp_path, monkeypatch)
    some = [m for m in mutants if m.rule == "misspell a keyword" and "iris" in m.file.parts]
    missed = [mutant for mutant in some if room.catch(mutant).lacks(mutant)]
    assert len(missed) > len(some) / 2


def test_misspellings() -> None:
    """A letter less, two swapped, the other case; and never the name itself."""
    assert spelt("type") == ["typ", "tyep", "Type"]
    assert spelt("$ref") == ["$re", "$rfe", "$Ref"]
    assert spelt("aa") == ["a", "Aa"]
    assert spelt("numpy", case=False) == ["nump", "nupmy"]


def test_places() -> None:
    """A document is copied but for one place."""
    document = {"a": [1, {"b": 2}]}
    assert [place for place, _ in places(document)] == [("a",), ("a", 0), ("a", 1), ("a", 1, "b")]
    assert put(document, ("a", 1, "b"), 3) == {"a": [1, {"b": 3}]}
    assert dropped(document, ("a", 0)) == {"a": [{"b": 2}]}
    assert renamed(document, ("a",), "c") == {"c": [1, {"b": 2}]}
    assert document == {"a": [1, {"b": 2}]}

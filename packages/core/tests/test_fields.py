"""What the typed getters accept, and what they say of the rest."""

import inspect
import tomllib
from typing import Any

import pytest

from stevedore_core.errors import DocumentInvalid
from stevedore_core.fields import (
    DISTRIBUTION,
    IMAGE_REFERENCE,
    NAME,
    PYTHON_MINOR,
    SHA256,
    VERSION,
    Fields,
    Grammar,
    normalise,
    quote,
)

HEX = "a1" * 32


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        (NAME, "iris"),
        (NAME, "a" * 63),
        (NAME, "iris-2_b"),
        (VERSION, "0.10.200"),
        (PYTHON_MINOR, "3.11"),
        (SHA256, HEX),
        (DISTRIBUTION, "scikit-learn"),
        (IMAGE_REFERENCE, "python:3.11-slim-bookworm"),
        (IMAGE_REFERENCE, f"localhost:5000/a/b-c__d:V1@sha256:{HEX}"),
    ],
)
def test_grammar_accepts(grammar: Grammar, text: str) -> None:
    """A grammar takes what it describes."""
    assert grammar.accepts(text)


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        (NAME, ""),
        (NAME, "a" * 64),
        (NAME, "Iris"),
        (NAME, "2iris"),
        (NAME, "iris--2"),
        (NAME, "iris-"),
        (NAME, "iris\n"),
        (NAME, "ïris"),
        (VERSION, "1.0"),
        (VERSION, "01.0.0"),
        (VERSION, "1.0.0rc1"),
        (VERSION, ">=1.0.0"),
        (VERSION, "1.0.٣"),
        (VERSION, "1.0.0\n"),
        (PYTHON_MINOR, "3.10"),
        (PYTHON_MINOR, "3"),
        (SHA256, HEX.upper()),
        (SHA256, HEX[1:]),
        (DISTRIBUTION, "Scikit_learn"),
        (IMAGE_REFERENCE, "python:3.11\nRUN true"),
        (IMAGE_REFERENCE, "python 3"),
        (IMAGE_REFERENCE, "-python"),
        (IMAGE_REFERENCE, "a/" * 130 + "a"),
    ],
)
def test_grammar_refuses(grammar: Grammar, text: str) -> None:
    """A grammar takes nothing else, above all no line break and no other digits."""
    assert not grammar.accepts(text)


def test_values() -> None:
    """Right values come out as they are; where a choice is absent, the default does."""
    fields = Fields(
        table={"name": "iris", "workers": 2, "table": {"a": "b"}, "tables": [{}], "names": ["x"]},
        file="f.toml",
    )
    assert fields.text("name", NAME) == "iris"
    assert fields.integer("workers", low=1, high=2) == 2
    assert fields.choice("mode", ("all", "any"), default="any") == "any"
    assert fields.texts("names", NAME) == ("x",)
    assert fields.within("table").text("a", NAME) == "b"
    assert fields.within("absent", required=False).table == {}
    assert [entry.table for entry in fields.each("tables")] == [{}]
    assert fields.has("name")
    assert not fields.has("other")
    fields.finish()


def test_all_problems_are_listed() -> None:
    """Every problem is told, with the path of its key and items counted from 1."""
    fields = Fields(
        table={
            "name": "Iris",
            "workers": True,
            "mode": "some",
            "names": ["a", 2],
            "more": "a",
            "table": [],
            "tables": [1],
            "each": [{}, {"version": "1"}],
            "nmae": "x",
            "zzz": 1,
        },
        file="f.toml",
    )
    fields.text("name", NAME)
    fields.text("version", VERSION)
    fields.integer("workers", low=1, high=64)
    fields.integer("absent", low=1, high=64)
    fields.choice("mode", ("all", "any"), default="all")
    fields.texts("names", NAME)
    fields.texts("more", NAME)
    fields.texts("none", NAME)
    fields.within("table")
    fields.within("gone")
    fields.each("tables")
    fields.each("lost")
    for entry in fields.each("each"):
        entry.text("version", VERSION)
    with pytest.raises(DocumentInvalid) as caught:
        fields.finish()
    name, version = NAME.expected, VERSION.expected
    known = (
        "`absent`, `each`, `gone`, `lost`, `mode`, `more`, `name`, `names`, `none`, `table`, "
        "`tables`, `version`, `workers`"
    )
    assert str(caught.value).splitlines() == [
        "f.toml: 16 problems",
        f"  `name`: expected {name}, found `Iris`",
        f"  `version`: missing; expected {version}",
        "  `workers`: expected a whole number from 1 to 64, found `True`",
        "  `absent`: missing; expected a whole number from 1 to 64",
        "  `mode`: expected `all` or `any`, found `some`",
        f"  `names[2]`: expected {name}, found `2`",
        "  `more`: expected an array of strings, found `a`",
        "  `none`: missing; expected an array of strings",
        "  `table`: expected a table, found `[]`",
        "  `gone`: missing; expected a table",
        "  `tables`: expected an array of tables, found `[1]`",
        "  `lost`: missing; expected an array of tables",
        f"  `each[1].version`: missing; expected {version}",
        f"  `each[2].version`: expected {version}, found `1`",
        "  `nmae`: unknown key; did you mean `name`?",
        f"  `zzz`: unknown key; known: {known}",
    ]


def test_the_example() -> None:
    """What the class shows does what it says: it reads, and lists what is wrong at its end."""
    _, _, example = str(inspect.getdoc(Fields)).partition("::\n")
    names: dict[str, Any] = {"Fields": Fields, "NAME": NAME, "tomllib": tomllib, "sizes": {}}
    names["text"] = "[[ships]]\nname = 'ann'\nsize = 2\n[[ships]]\nname = 'bea'\nsize = 3\n"
    exec(inspect.cleandoc(example), names)  # noqa: S102  # our own
    assert names["sizes"] == {"ann": 2, "bea": 3}
    names["text"] = "[[ships]]\nname = 'ann'\nsise = 2\n"
    with pytest.raises(DocumentInvalid) as caught:
        exec(inspect.cleandoc(example), names)  # noqa: S102  # our own
    assert str(caught.value) == (
        "fleet.toml: 2 problems\n"
        "  `ships[1].size`: missing; expected a whole number from 1 to 9\n"
        "  `ships[1].sise`: unknown key; did you mean `size`?"
    )


def test_one_problem_is_one_line() -> None:
    """A single problem needs no list."""
    fields = Fields(table={}, file="f.toml")
    fields.note("name", "is odd")
    with pytest.raises(DocumentInvalid) as caught:
        fields.finish()
    assert str(caught.value) == "f.toml: `name`: is odd"


def test_quote() -> None:
    """What was found is shown short and on one line."""
    assert quote("a\n b") == "`a b`"
    assert quote("x" * 61) == "`" + "x" * 57 + "…`"
    assert quote(None) == "`None`"


def test_normalise() -> None:
    """Two spellings of one distribution compare equal."""
    assert normalise("Scikit__Learn.x") == "scikit-learn-x"


@pytest.mark.parametrize("value", [True, "1", float("nan"), float("inf"), 10**400, None])
def test_numbers(value: object) -> None:
    """A number is finite and fits a float; a truth value is none."""
    fields = Fields(table={"whole": 2, "part": -0.5, "odd": value}, file="f.toml")
    assert [fields.number(key) for key in ("whole", "part")] == [2.0, -0.5]
    fields.number("odd")
    fields.number("gone")
    with pytest.raises(DocumentInvalid) as caught:
        fields.finish()
    assert str(caught.value).splitlines() == [
        "f.toml: 2 problems",
        f"  `odd`: expected a finite number, found {quote(value)}",
        "  `gone`: missing; expected a finite number",
    ]

"""Typed getters for untyped TOML, the grammars that strings must pass, and TOML of such strings.

`manifest` and `lock` read through `Fields`. It collects every problem and raises them together.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from stevedore_core.errors import DocumentInvalid
from stevedore_core.spelling import did_you_mean

__all__ = [
    "DISTRIBUTION",
    "IMAGE_REFERENCE",
    "INDEX",
    "NAME",
    "PYTHON_MINOR",
    "SHA256",
    "VERSION",
    "Fields",
    "Grammar",
    "normalise",
    "quote",
    "toml_of",
]

_MISSING = object()
_Choice = TypeVar("_Choice", bound=str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grammar:
    """What a string may look like, and how to say so."""

    pattern: re.Pattern[str]
    expected: str

    def accepts(self, text: str) -> bool:
        """Tell whether the whole of `text` fits."""
        return self.pattern.fullmatch(text) is not None


_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"

NAME = Grammar(
    pattern=re.compile(r"(?=.{1,63}\Z)[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*"),
    expected="a name of lower-case letters, digits and single `-` or `_`, at most 63 characters",
)
VERSION = Grammar(
    pattern=re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"),
    expected="one exact version such as `1.0.0`",
)
PYTHON_MINOR = Grammar(
    pattern=re.compile(r"3\.(?:1[1-9]|[2-9][0-9])"),
    expected="a minor version of Python from `3.11` on",
)
SHA256 = Grammar(
    pattern=re.compile(r"[0-9a-f]{64}"),
    expected="a sha256 of 64 hexadecimal digits",
)
DISTRIBUTION = Grammar(
    pattern=re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*"),
    expected="a distribution's name in its normalised form, such as `scikit-learn`",
)
IMAGE_REFERENCE = Grammar(
    pattern=re.compile(
        rf"(?=.{{1,255}}\Z)(?:{_COMPONENT}(?::[0-9]{{1,5}})?/)?{_COMPONENT}(?:/{_COMPONENT})*"
        r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
    ),
    expected="an image reference such as `python:3.11-slim-bookworm`",
)

INDEX = Grammar(
    pattern=re.compile(
        r"(?=.{1,255}\Z)https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
        r"(?:/[A-Za-z0-9._~-]+)*/?"
    ),
    expected="the address of a package index without user or password, such as `https://…/simple`",
)


def normalise(name: str) -> str:
    """Return the name by which distributions are compared: lower case, runs of `-_.` as `-`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def quote(value: object) -> str:
    """Return what was found as a message shows it: short, on one line."""
    text = " ".join(str(value).split()) if isinstance(value, str) else repr(value)
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`"  # noqa: PLR2004


def toml_of(table: Mapping[str, object]) -> str:
    """Write a table of numbers, strings and tuples of strings; `None` is left out.

    No string has quotes or escapes: each has passed a grammar.
    """
    lines: list[str] = []
    for key, value in table.items():
        if isinstance(value, tuple):
            lines += [f"{key} = [", *(f'    "{item}",' for item in value), "]"]
        elif value is not None:
            lines.append(f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"')
    return "\n".join(lines) + "\n"


@dataclass(kw_only=True, slots=True)
class Fields:
    """One table of a document. Hands out typed values and notes what is wrong on the way.

    A getter that finds a problem returns an empty value, so that reading goes on and the other
    problems are found too. Until `finish` the values may be wrong.

    `within` gives the table at a key, `each` the tables of an array. Whoever is through with one
    of those ends with `close`, which notes the keys that nobody asked for; `finish` closes the
    outermost one, and raises what was noted in any. Where reading on makes no sense, `fail` raises
    at once. `has` is asked before what may be absent, `raw` gives what may be of several types;
    both make the key a known one.

    ::

        fields = Fields(table=tomllib.loads(text), file="fleet.toml")
        for ship in fields.each("ships"):
            sizes[ship.text("name", NAME)] = ship.integer("size", low=1, high=9)
            ship.close()
        fields.finish()
    """

    table: Mapping[str, object]
    file: str
    path: str = ""
    problems: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def text(self, key: str, grammar: Grammar) -> str:
        """Return the string at `key`, which must fit `grammar`."""
        value = self.raw(key)
        if isinstance(value, str) and grammar.accepts(value):
            return value
        self._wrong(key, grammar.expected, value)
        return ""

    def choice(self, key: str, allowed: Sequence[_Choice], *, default: _Choice) -> _Choice:
        """Return the string at `key`, one of `allowed`."""
        value = self.raw(key) if self.has(key) else default
        for item in allowed:
            if item == value:
                return item
        self._wrong(key, " or ".join(f"`{item}`" for item in allowed), value)
        return default

    def integer(self, key: str, *, low: int, high: int, other: str = "") -> int:
        """Return the whole number at `key`, from `low` to `high`; messages add `other`."""
        value = self.raw(key)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self._wrong(key, f"a whole number from {low} to {high}{other}", value)
        return low

    def number(
        self, key: str, *, low: float = -sys.float_info.max, high: float = sys.float_info.max
    ) -> float:
        """Return the finite number at `key`, from `low` to `high`."""
        value = self.raw(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        is_bounded = high < sys.float_info.max
        expected = f"a number from {low:g} to {high:g}" if is_bounded else "a finite number"
        self._wrong(key, expected, value)
        return 0.0

    def texts(self, key: str, grammar: Grammar) -> tuple[str, ...]:
        """Return the array of strings at `key`, each of which must fit `grammar`."""
        value = self.raw(key)
        if not isinstance(value, list):
            self._wrong(key, "an array of strings", value)
            return ()
        for position, item in enumerate(value, start=1):
            if not (isinstance(item, str) and grammar.accepts(item)):
                self._wrong(f"{key}[{position}]", grammar.expected, item)
        return tuple(item for item in value if isinstance(item, str))

    def within(self, key: str, *, required: bool = True) -> "Fields":
        """Return the table at `key`; an empty one where it is absent and need not be there."""
        value = self.raw(key) if required or self.has(key) else {}
        if not isinstance(value, dict):
            self._wrong(key, "a table", value)
            value = {}
        return self._child(value, key)

    def each(self, key: str) -> tuple["Fields", ...]:
        """Return the tables of the array at `key`, counted from 1 in messages."""
        value = self.raw(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._wrong(key, "an array of tables", value)
            return ()
        return tuple(
            self._child(item, f"{key}[{position}]") for position, item in enumerate(value, start=1)
        )

    def has(self, key: str) -> bool:
        """Tell whether `key` is there; either way it is a known one."""
        self._seen.add(key)
        return key in self.table

    def raw(self, key: str) -> object:
        """Return what stands at `key`, of any type; if nothing does, what is of no type of TOML."""
        self._seen.add(key)
        return self.table.get(key, _MISSING)

    def note(self, key: str, problem: str) -> None:
        """Note a problem that only the caller can see."""
        self.problems.append(f"`{self._at(key)}`: {problem}")

    def close(self) -> None:
        """Note every key that nobody asked for: it is a mistake, not an extension."""
        for key in self.table:
            if key not in self._seen:
                known = ", ".join(f"`{name}`" for name in sorted(self._seen))
                hint = did_you_mean(key, self._seen) or f"; known: {known}"
                self.note(key, f"unknown key{hint}")

    def finish(self) -> None:
        """Raise `DocumentInvalid` with everything noted, if anything was."""
        self.close()
        if self.problems:
            self.fail()

    def fail(self) -> NoReturn:
        """Raise `DocumentInvalid` with everything noted."""
        if len(self.problems) == 1:
            raise DocumentInvalid(f"{self.file}: {self.problems[0]}")
        listed = "".join(f"\n  {problem}" for problem in self.problems)
        raise DocumentInvalid(f"{self.file}: {len(self.problems)} problems{listed}")

    def _child(self, table: Mapping[str, object], key: str) -> "Fields":
        return Fields(table=table, file=self.file, path=self._at(key), problems=self.problems)

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _wrong(self, key: str, expected: str, found: object) -> None:
        if found is _MISSING:
            self.note(key, f"missing; expected {expected}")
        else:
            self.note(key, f"expected {expected}, found {quote(found)}")

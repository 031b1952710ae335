"""`docs/ways-through.md`: every function that it names is where it says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "ways-through.md").read_text(encoding="utf-8")
STEP: Final = re.compile(r"^\d+\. (core|api|build) `([a-z_.]+)` → ([^→]+) → ", re.MULTILINE)
FORM: Final = "a step is not `package module → functions → what is handed on`"


def wrong_in(page: str) -> Iterator[str]:
    """Yield each function that is not where the page says, and each step that does not say it."""
    steps = STEP.findall(page)
    if len(steps) != len(re.findall(r"^\d+\. ", page, re.MULTILINE)):
        yield FORM
    for package, module, functions in steps:
        there = set(defined_in(package, module))
        for name in re.findall(r"`([\w.]+)`", functions):
            if name not in there:
                yield f"{package}: `{module}` has no `{name}`"
    anywhere = {name for package in ("core", "api", "build") for name in defined_in(package)}
    for name in re.findall(r"`([A-Z]\w+\.[a-z]\w+)`", STEP.sub("", page)):
        if name not in anywhere:
            yield f"there is no `{name}`"


def defined_in(package: str, module: str = "**.*") -> Iterator[str]:
    """Yield the functions of a package's modules and the methods of their classes."""
    source = ROOT / "packages" / package / "src" / f"stevedore_{package}"
    for file in source.glob(f"{module.replace('.', '/')}.py"):
        for node in ast.parse(file.read_bytes()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name
            elif isinstance(node, ast.ClassDef):
                yield from (
                    f"{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
                )


def test_every_function_is_there() -> None:
    """Whoever follows a way finds what the page names."""
    assert STEP.findall(PAGE)
    assert list(wrong_in(PAGE)) == []


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        ("1. api `group` → `WorkerGroup.take` → a call.", "api: `group` has no `WorkerGroup.take`"),
        ("1. core `gone` → `serve` → frames.", "core: `gone` has no `serve`"),
        ("1. build `pins` → `wheels_of` → wheels.", "build: `pins` has no `wheels_of`"),
        ("1. core: `worker.serve`", FORM),
        ("1. api `group` → `WorkerGroup.submit` → `Gone.at_all`", "there is no `Gone.at_all`"),
    ],
)
def test_what_is_gone_is_seen(step: str, wrong: str) -> None:
    """A function or a module that was renamed, and a step in another form."""
    assert list(wrong_in(step)) == [wrong]

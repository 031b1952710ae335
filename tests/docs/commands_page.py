"""`docs/commands.md`: every make target, nox session and command, as the code declares them.

Run as a script it writes the page; `test_commands.py` holds the page against what it would write.
"""

import argparse
import ast
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from stevedore_build.cli.program import _parser  # the only place that knows the commands

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "commands.md"

INTRODUCTION: Final = """\
# Commands

`make` is the front door. It calls `nox` where something is tested, and `ml-stevedore` for the
rest; both may be called by hand, from `.venv/bin`. This page is written from the code, by
`nox -s docs -- --write`.

## make

"""
REMARKS: Final = """\
Results go to standard output, what is going on to standard error. The exit status is 0, or 1 with
one line that says what is wrong, or 2 for a command that cannot be understood.
"""


def page() -> str:
    """Return the whole page."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    return "\n".join(
        [
            INTRODUCTION.rstrip() + "\n",
            *_table("target", targets(makefile)),
            "Knobs are given as `make serve NAME=bundle PORT=9000`:\n",
            *_knobs(makefile),
            "## nox\n",
            *_table("session", sessions(noxfile)),
            "## ml-stevedore\n",
            REMARKS,
            *_commands(),
        ]
    )


def targets(makefile: str) -> dict[str, str]:
    """Return the targets that have a line of help, and that line."""
    return dict(re.findall(r"^([a-z-]+):.*?## (.+)$", makefile, flags=re.MULTILINE))


def knobs(makefile: str) -> dict[str, tuple[str, list[str]]]:
    """Return the variables that people may set: their defaults, and the targets that use them."""
    defaults = dict(re.findall(r"^([A-Z]+) \?= *(.*)$", makefile, flags=re.MULTILINE))
    fixed = re.findall(r"^([A-Z_]+) :?= ((?:.*\\\n)*.*)$", makefile, flags=re.MULTILINE)
    used: dict[str, list[str]] = {name: [] for name in defaults}
    for block in makefile.split("\n.PHONY: ")[1:]:
        (target,) = targets(block)
        for name, definition in fixed * 2:  # one may use another
            block = block.replace(f"$({name})", definition)  # noqa: PLW2901
        for name in dict.fromkeys(re.findall(r"\$\(([A-Z]+)\)", block)):
            if target != "help":
                used.setdefault(name, []).append(target)
    exported = " ".join(re.findall(r"^export (.+)$", makefile, flags=re.MULTILINE)).split()
    return {
        name: (defaults.get(name, ""), ["all"] if name in exported else by)
        for name, by in used.items()
    }


def sessions(noxfile: str) -> dict[str, str]:
    """Return the sessions of the noxfile and the first line of each docstring."""
    functions = [node for node in ast.parse(noxfile).body if isinstance(node, ast.FunctionDef)]
    return {
        function.name: (ast.get_docstring(function) or "").partition("\n")[0]
        for function in functions
        if any("nox.session" in ast.unparse(mark) for mark in function.decorator_list)
    }


def commands() -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Return the commands of `ml-stevedore`, each with its line of help and its own parser."""
    (among,) = [
        action
        for action in _parser()._actions  # noqa: SLF001  # argparse has no public way
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
    titles = {choice.dest: choice.help or "" for choice in among._choices_actions}  # noqa: SLF001
    return {name: (titles[name], parser) for name, parser in sorted(among.choices.items())}


def _table(head: str, rows: Mapping[str, str]) -> Iterator[str]:
    yield f"| {head} | does |\n|---|---|"
    yield from (f"| `{name}` | {does.replace('|', '&#124;')} |" for name, does in rows.items())
    yield ""


def _knobs(makefile: str) -> Iterator[str]:
    yield "| knob | default | used by |\n|---|---|---|"
    for name, (default, by) in knobs(makefile).items():
        used = "all that start an engine" if by == ["all"] else ", ".join(f"`{t}`" for t in by)
        shown = f"`{default}`" if default else ""
        yield f"| `{name}` | {'worked out' if '$(' in default else shown} | {used} |"
    yield ""


def _commands() -> Iterator[str]:
    for name, (title, parser) in commands().items():
        yield f"### {name}\n"
        yield f"{title[:1].upper()}{title[1:]}.\n"
        rows = [row for action in parser._actions for row in _argument(action)]  # noqa: SLF001
        if rows:
            yield "| argument | means |\n|---|---|"
            yield from rows
            yield ""


def _argument(action: argparse.Action) -> Iterator[str]:
    if action.help == "show this help message and exit" or action.dest == "help":
        return
    if action.option_strings:
        shown = ", ".join(f"`{option}`" for option in action.option_strings)
    else:
        shown = f"`{action.dest}`"
    said = [action.help or ""]
    if action.choices:
        said.append("one of " + ", ".join(f"`{choice}`" for choice in action.choices))
    if action.nargs == "+":
        said.append("one or more")
    if action.option_strings and action.required:
        said.append("has to be given")
    if isinstance(action.default, (str, int)) and action.default not in ("", False, True):
        said.append(f"by default `{action.default}`")
    yield f"| {shown} | {'; '.join(part for part in said if part)} |"


if __name__ == "__main__":
    for variable in ("ARCH", "ENGINE"):  # they are defaults, where they are set
        os.environ.pop(variable, None)
    DOCUMENT.write_text(page(), encoding="utf-8")

"""The fenced blocks of a document, and how each kind of them is checked. Called by `test_snippets`.

Python is run, data is parsed, commands are held against what there is to be called.
"""

import argparse
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import commands_page
import yaml
from markdown_it import MarkdownIt

from stevedore_core import strict_json
from stevedore_core.manifest import Manifest

NOT_RUN: Final = re.compile(r"<!-- not run: (?P<reason>\S.*) -->")
SHELLS: Final = ("sh", "console")
UNCHECKED: Final = ("", "text", "json-lines", "dockerfile", "{toctree}", "{eval-rst}")
"""Drawings and trees of files, and what the site's own build checks."""
PROGRAMS: Final = (
    "cd",
    "curl",
    "docker",
    "echo",
    "export",
    "git",
    "kubectl",
    "podman",
    "python",
    "sh",
    "uv",
)
"""What a document may call that is not ours; of these only the shell's grammar is checked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snippet:
    """One fenced block. `line` counts from 1; `reason` says why it is not run, if it is not."""

    language: str
    text: str
    line: int
    reason: str | None


def find_snippets(document: str) -> list[Snippet]:
    """Return the fenced blocks of a document in Markdown, in their order."""
    found = []
    before = ""
    for token in MarkdownIt("commonmark").parse(document):
        if token.type == "fence" and token.map:
            marked = NOT_RUN.fullmatch(before.strip())
            found.append(
                Snippet(
                    language=token.info.strip().partition(" ")[0],
                    text=token.content,
                    line=token.map[0] + 2,
                    reason=marked["reason"] if marked else None,
                )
            )
        before = token.content if token.type == "html_block" else ""
    return found


def run_python(snippets: list[Snippet], file: Path) -> None:
    """Run blocks one after another, as one module; a traceback names the document and its line."""
    names: dict[str, Any] = {"__name__": "shown"}
    for snippet in snippets:
        source = "\n" * (snippet.line - 1) + snippet.text
        exec(compile(source, str(file), "exec"), names)  # noqa: S102  # our own documents


def check_data(snippet: Snippet) -> None:
    """Parse a block of TOML, JSON or YAML; one that pins models is a manifest."""
    match snippet.language:
        case "toml":
            if "models" in tomllib.loads(snippet.text):
                Manifest.from_text(snippet.text, file=f"line {snippet.line}")
        case "json":
            strict_json.decode(snippet.text.encode())
        case "yaml":
            list(yaml.safe_load_all(snippet.text))


def commands_in(snippet: Snippet) -> Iterator[list[str]]:
    """Yield the words of each command of a block for the shell; of a console, what is typed."""
    text = snippet.text
    if snippet.language == "console":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    subprocess.run(["sh", "-n"], input=text, text=True, check=True, capture_output=True)
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def wrong_with(words: list[str], root: Path) -> str | None:
    """Return what is wrong with a command that a document shows, if anything is."""
    program, *arguments = words
    match Path(program).name:
        case "make":
            return _wrong_with_make(arguments, (root / "Makefile").read_text(encoding="utf-8"))
        case "nox":
            return _wrong_with_nox(arguments, (root / "noxfile.py").read_text(encoding="utf-8"))
        case "ml-stevedore":
            return _wrong_with_ours(arguments)
        case name if name in PROGRAMS:
            return None
    return f"`{program}` is not a program that documents may call"


def _wrong_with_make(arguments: list[str], makefile: str) -> str | None:
    targets = commands_page.targets(makefile)
    for argument in arguments:
        knob, is_knob, _ = argument.partition("=")
        if is_knob and f"$({knob})" not in makefile:
            return f"no target looks at `{knob}`"
        if not is_knob and argument not in targets:
            return f"there is no target `{argument}`"
    return None


def _wrong_with_nox(arguments: list[str], noxfile: str) -> str | None:
    sessions = commands_page.sessions(noxfile)
    mine = arguments[: arguments.index("--")] if "--" in arguments else arguments
    named = [argument for argument in mine if not argument.startswith("-")]
    unknown = [name for name in named if name.partition("(")[0] not in sessions]
    return f"there is no session `{unknown[0]}`" if unknown else None


def _wrong_with_ours(arguments: list[str]) -> str | None:
    mine = arguments[: arguments.index("--")] if "--" in arguments else arguments
    known: Mapping[str, tuple[str, argparse.ArgumentParser]] = commands_page.commands()
    if not mine or mine[0] not in known:
        return f"there is no command `{' '.join(mine[:1])}`"
    parser = known[mine[0]][1]
    parser.exit_on_error = False
    try:
        _, unknown = parser.parse_known_args(mine[1:])
    except argparse.ArgumentError as error:
        return f"`{mine[0]}`: {error}"
    except SystemExit:
        return f"`{mine[0]}` lacks an argument"
    return f"`{mine[0]}` does not take `{unknown[0]}`" if unknown else None

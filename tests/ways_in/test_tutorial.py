"""The tutorial's commands, run one after another in a fresh clone; its answers are what came."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from markdown_it import MarkdownIt
from newcomer import ROOT, clone_to, run

BLOCKS: Final = [
    (token.info, token.content)
    for token in MarkdownIt().parse((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    if token.type == "fence"
]
"""Language and text of each block, from top to bottom."""
ENGINE: Final = next(iter(os.environ.get("STEVEDORE_ENGINES", "").split()), "")
"""A newcomer has one."""


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """Clone the repository as it is committed; stop what runs in the end."""
    directory = clone_to(tmp_path / "stevedore")
    yield directory
    if ENGINE:
        run("make", "stop", "NAME=clinic", cwd=directory, ENGINE=ENGINE)


def test_the_tutorial_works(clone: Path, figure: Callable[[str], None]) -> None:
    """From a model in a file to a container that answers; without an engine, to the lock."""
    begun = time.monotonic()
    printed = ""
    for language, text in BLOCKS:
        match language:
            case "python":
                (clone / "fit.py").write_text(text, encoding="utf-8")
            case "sh" if "make compose" in text and not ENGINE:
                break
            case "sh":
                printed = run("sh", "-euc", text, cwd=clone, ENGINE=ENGINE)
            case "json":
                assert _agree(json.loads(printed), json.loads(text)), printed
    else:
        figure(f"the tutorial took {time.monotonic() - begun:.0f} s")
    assert (clone / "compositions" / "clinic" / "lock.toml").is_file()


def test_answers_are_compared() -> None:
    """An ellipsis stands for anything, and nothing else does."""
    assert _agree({"a": [1, "seen"]}, {"a": [1, "…"]})
    assert not _agree({"a": [1, "seen"]}, {"a": [2, "…"]})
    assert not _agree({"a": 1, "b": 2}, {"a": 1})


def _agree(found: object, shown: object) -> bool:
    """Tell whether an answer is the one that is shown, in which `…` leaves something out."""
    if isinstance(found, dict) and isinstance(shown, dict):
        return found.keys() == shown.keys() and all(_agree(found[k], shown[k]) for k in found)
    if isinstance(found, list) and isinstance(shown, list):
        return len(found) == len(shown) and all(map(_agree, found, shown))
    return shown in ("…", found)

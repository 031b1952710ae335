"""What this repository shares with the workspaces that `ml-stevedore init` writes: one text.

`nox -s docs -- --write` writes the copies anew after a change; a test holds them against what they
are copies of.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stevedore_build.scaffolds.new_workspace import TEMPLATE

__all__ = ["shared_texts"]

ROOT: Final = Path(__file__).parents[3]
SAME: Final = (
    ".pre-commit-config.yaml",
    "Makefile",
    "requirements/lint.in",
    "requirements/lint.txt",
    "requirements/test.in",
    "requirements/test.txt",
    "requirements/tools.txt",
    "requirements/uv.in",
    "requirements/uv.txt",
)
_ONLY_HERE: Final = re.compile(r"^ *# \(only here\n.*?^ *# only here\)\n", re.MULTILINE | re.DOTALL)


def shared_texts() -> Mapping[str, str]:
    """Return what files of a written workspace have to be, by their paths in it."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in SAME}
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    head, _, rest = noxfile.partition("# `ml-stevedore init` writes this file too")
    tools = (ROOT / "requirements/tools.in").read_text(encoding="utf-8")
    texts["requirements/tools.in"] = re.sub(r"(-e .*\n)+", "-r stevedore.in\n", tools)
    return {**texts, "noxfile.py": _without(head + rest.partition("\n")[2])}


def _without(noxfile: str) -> str:
    """Return what stands outside of the marks, less imports that only the rest needs."""
    text = re.sub(r"\n{4,}", "\n\n\n", _ONLY_HERE.sub("", noxfile))
    imported = re.findall(r"^import (\w+)\n", text, re.MULTILINE)
    for name in (name for name in imported if not re.search(rf"\b{name}\.", text)):
        text = text.replace(f"import {name}\n", "", 1)
    return text


if __name__ == "__main__":
    for name, text in shared_texts().items():
        (TEMPLATE / name).parent.mkdir(parents=True, exist_ok=True)
        (TEMPLATE / name).write_text(text, encoding="utf-8")

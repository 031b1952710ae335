"""What this repository shares with the workspaces that `ml-stevedore init` writes: one text.

`python packages/build/tests/written.py` writes the copies anew after a change; a test holds them
against what they are copies of.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stevedore_build.new_workspace import TEMPLATE

__all__ = ["shared_texts"]

ROOT: Final = Path(__file__).parents[3]
SAME: Final = (
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
    return {**texts, "noxfile.py": _without(head + rest.partition("\n")[2])}


def _without(noxfile: str) -> str:
    """Return what stands outside of the marks, with two empty lines between functions again."""
    return re.sub(r"\n{4,}", "\n\n\n", _ONLY_HERE.sub("", noxfile))


if __name__ == "__main__":
    for name, text in shared_texts().items():
        (TEMPLATE / name).parent.mkdir(parents=True, exist_ok=True)
        (TEMPLATE / name).write_text(text, encoding="utf-8")

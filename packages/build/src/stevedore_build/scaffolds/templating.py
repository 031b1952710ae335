"""Rendering the template of model packages, with copier. `models` calls it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stevedore_build.digests import sha256_of_all
from stevedore_build.scaffolds.frameworks import TEMPLATE
from stevedore_core.strict_json import Json

__all__ = ["ANSWERS", "digest_of", "kept_answers", "render"]

ANSWERS: Final = ".copier-answers.yml"
"""The file in a package that says what it was rendered with."""


def render(answers: Mapping[str, Json], destination: Path, *, template: Path = TEMPLATE) -> None:
    """Write what a template makes of answers; `destination` must not be there."""
    # Imported here, as it takes longer than most commands.
    from copier import run_copy  # noqa: PLC0415

    run_copy(
        str(template), destination, data=dict(answers), defaults=True, quiet=True, overwrite=True
    )


def kept_answers(package: Path) -> dict[str, Json] | None:
    """Return the answers that a package was rendered with, `None` if it was not rendered."""
    file = package / ANSWERS
    if not file.is_file():
        return None
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    # The template writes each value as JSON, which is YAML, on a line of its own.
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in lines)}


def digest_of(template: Path = TEMPLATE) -> str:
    """Return the sha256 of a template: of all its files and their names."""
    files = sorted(path for path in template.rglob("*") if path.is_file())
    kept = (
        file.relative_to(template).as_posix() for file in files if "__pycache__" not in file.parts
    )
    return sha256_of_all(template, kept)

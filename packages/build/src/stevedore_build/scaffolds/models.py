"""New model packages: rendered from the template, trained, and only then moved into `models/`.

`cli.scaffolds` calls it. Nothing is left of a package that could not be made.
"""

import json
import random
import re
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

from stevedore_build.console import notice
from stevedore_build.drafts import draft_directory
from stevedore_build.errors import ScaffoldRefused
from stevedore_build.processes import git
from stevedore_build.scaffolds.fitted_files import ModelFacts
from stevedore_build.scaffolds.frameworks import TEMPLATE
from stevedore_build.scaffolds.model_environments import run_in_package
from stevedore_build.scaffolds.templating import digest_of, render
from stevedore_build.workspace import Workspace
from stevedore_core.fields import NAME, normalise, quote
from stevedore_core.strict_json import Json

__all__ = ["answers_for", "new_model", "refuse_taken", "template_now", "train_model"]

_EXAMPLES: Final = 5
_SHADOWED: Final = frozenset(
    {"Any", "False", "ModelPackage", "NDArray", "None", "Predictor", "True"}
)
"""Names that the code of a package uses, so that no class of it may have them."""

_LABEL_EXAMPLES: Final = """
import json, sys
from pathlib import Path
from stevedore_core.discovery import load_model

model, file = load_model(sys.argv[1]), Path(sys.argv[2])
rows = [
    json.dumps({"instance": instance, "label": label})
    for instance, label in zip(model.test_input, model.predict(model.test_input))
]
file.write_text("[\\n" + ",\\n".join(rows) + "\\n]\\n", "utf-8")
"""


def new_model(
    name: str, facts: ModelFacts, *, workspace: Workspace, file: Path | None = None
) -> Path:
    """Make the package of a model, train it or take its weights from `file`; return where it is.

    Raises `ScaffoldRefused` if the name cannot be had, `ToolFailed` if training fails.
    """
    refuse_taken(name, parent=workspace.root / "models")
    with draft_directory(workspace.store.drafts) as scratch:
        draft = scratch / name
        render(answers_for(name, facts, workspace, from_file=file is not None), draft)
        if file is not None:
            _write_examples(_package(draft), facts)
        train_model(draft, workspace=workspace, file=file)
        if file is not None:
            _label_examples(draft, workspace)
        place = workspace.root / "models" / name
        draft.rename(place)
    git("add", "--", str(place.relative_to(workspace.root)), cwd=workspace.root)
    return place


def train_model(directory: Path, *, workspace: Workspace, file: Path | None = None) -> None:
    """Run the `train.py` of a model package.

    `file` is for one that takes weights trained elsewhere. Raises `ToolFailed` with what it said.
    """
    script = str(directory / "train.py")
    arguments = [script] if file is None else [script, str(file.absolute())]
    title = f"Training `{directory.name}`" if file is None else f"Taking {file.name}"
    said = run_in_package(directory, arguments, workspace=workspace, title=title)
    notice(said.strip())


def refuse_taken(name: str, *, parent: Path) -> None:
    """Raise `ScaffoldRefused` unless `parent` can have something new of that name."""
    if not NAME.accepts(name):
        raise ScaffoldRefused(f"`NAME`: expected {NAME.expected}, found {quote(name)}")
    taken = {normalise(path.name): path for path in sorted(parent.glob("*"))}
    if normalise(name) in taken:
        other = taken[normalise(name)].relative_to(parent.parent)
        raise ScaffoldRefused(f"`{other}` is there already; choose another name, or remove it")


def answers_for(
    name: str, facts: ModelFacts, workspace: Workspace, *, from_file: bool
) -> dict[str, Json]:
    """Return what the template asks about a model."""
    return {
        "name": name,
        "class_name": _class_name(name),
        "framework": facts.framework.name,
        "title": facts.framework.title,
        "weights": facts.weights,
        "framework_version": facts.framework_version,
        "task": facts.task,
        "labels": None if facts.labels is None else list(facts.labels),
        "columns": None if facts.columns is None else list(facts.columns),
        "shape": list(facts.shape),
        "float_tolerance": facts.float_tolerance,
        "from_file": from_file,
        "details": dict(facts.details),
        "core": "" if workspace.shared_packages() is None else "../../packages/core",
        "license": _license(workspace),
        "author": _author(workspace),
        "template": template_now(),
    }


def template_now(template: Path = TEMPLATE) -> str:
    """Return the version of this package and the digest of the template that it has."""
    return f"{installed_version('ml-py-stevedore-build')} {digest_of(template)}"


def _class_name(name: str) -> str:
    joined = "".join(part.capitalize() for part in re.split("[-_]", name))
    return f"{joined}Model" if joined in _SHADOWED else joined


def _license(workspace: Workspace) -> str:
    """Return the identifier of the repository's licence, if its file says one that is known."""
    file = workspace.root / "LICENSE"
    first = file.read_text(encoding="utf-8").split("\n")[0] if file.is_file() else ""
    return "MIT" if first.strip() == "MIT License" else ""


def _author(workspace: Workspace) -> str:
    """Return who commits here, if git knows."""
    return git("config", "--default", "", "--get", "user.name", cwd=workspace.root).strip()


def _package(directory: Path) -> Path:
    (package,) = directory.glob("src/*")
    return package


def _write_examples(package: Path, facts: ModelFacts) -> None:
    """Write payloads of the right form, and labels that hold the place of the model's answers."""
    chance = random.Random(0)  # noqa: S311  # no secret
    instances = [_instance(facts, chance) for _ in range(_EXAMPLES)]
    label = facts.labels[0] if facts.labels else 0
    labelled: list[Json] = [{"instance": instance, "label": label} for instance in instances]
    _write_rows(package / "examples" / "predict.json", instances)
    _write_rows(package / "examples" / "score.json", labelled)


def _instance(facts: ModelFacts, chance: random.Random) -> Json:
    if facts.columns is not None:
        ranges = facts.ranges or ((0.0, 1.0),) * len(facts.columns)
        return {
            column: _drawn(between, chance)
            for column, between in zip(facts.columns, ranges, strict=True)
        }
    return _array(facts.shape, facts.ranges, chance)


def _array(
    shape: Sequence[int], ranges: Sequence[tuple[float, float]] | None, chance: random.Random
) -> Json:
    if len(shape) > 1:
        return [_array(shape[1:], None, chance) for _ in range(shape[0])]
    return [_drawn(between, chance) for between in ranges or [(0.0, 1.0)] * shape[0]]


def _drawn(between: tuple[float, float], chance: random.Random) -> float:
    return float(f"{chance.uniform(*between):.4g}")


def _write_rows(path: Path, rows: Sequence[Json]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


def _label_examples(directory: Path, workspace: Workspace) -> None:
    """Let the model say the labels of its examples, until somebody puts better ones."""
    score = _package(directory) / "examples" / "score.json"
    asking = ["-c", _LABEL_EXAMPLES, directory.name, str(score)]
    run_in_package(directory, asking, workspace=workspace, title="Labelling examples")

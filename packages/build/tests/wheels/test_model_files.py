"""The files of a model package, held against each other before its wheel is built."""

import json
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.wheels.building import build_wheels
from stevedore_build.wheels.model_files import refuse_faulty_files
from stevedore_build.workspace import Workspace

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "array",
    "items": {"$ref": "#/$defs/row"},
    "$defs": {
        "row": {
            "type": "object",
            "required": ["size"],
            "additionalProperties": False,
            "properties": {"size": {"type": "number", "minimum": 0}},
        }
    },
}


@pytest.fixture
def adder(workspace: Workspace) -> Path:
    """The package of the model `adder`, which has all its files."""
    directory = tiny.add_adder(workspace.root)
    source = directory / "src" / "stevedore_model_adder"
    for kind in ("predict", "score"):
        tiny.write(source / f"{kind}.schema.json", json.dumps(SCHEMA))
        tiny.write(source / "examples" / f"{kind}.json", '[{"size": 1}, {"size": 2}]')
    refuse_faulty_files(workspace.model("adder"))
    return directory


def refusal(workspace: Workspace) -> str:
    """Return what is said of the package."""
    with pytest.raises(WorkspaceInvalid) as caught:
        refuse_faulty_files(workspace.model("adder"))
    return str(caught.value)


def edit(file: Path, old: str, new: str) -> None:
    """Replace one piece of a text, which must be there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


PROJECT = [
    (
        'version = "1.0.0"',
        'verison = "1.0.0"',
        (
            "2 problems\n  pyproject.toml: `project.version`: missing; expected one exact version "
            "such as `1.0.0`\n  pyproject.toml: `project.verison`: unknown key; "
            "did you mean `version`?"
        ),
    ),
    (
        '">=3.11"',
        '"<3.11"',
        (
            "`project.requires-python`: expected the versions of Python that will do, such as "
            "`>=3.11`, found `<3.11`, which no Python fits that a composition may have"
        ),
    ),
    (
        ":load",
        ":laod",
        (
            '`project.entry-points."ml_py_stevedore.models".adder`: expected a function of the '
            "package, such as `stevedore_model_adder:load`, found `stevedore_model_adder:laod`: "
            "`stevedore_model_adder` has no `laod`; did you mean `load`?"
        ),
    ),
    (
        "ml_py_stevedore.models",
        "ml_py_stevedore.model",
        (
            '`project.entry-points."ml_py_stevedore.model"`: unknown group; did you mean '
            "`ml_py_stevedore.models`?"
        ),
    ),
    (
        "'ml-py-stevedore-core'",
        "'ml-py-stevedor-core'",
        (
            "`project.dependencies[1]`: expected `ml-py-stevedore-core`, as every model needs it, "
            "found `ml-py-stevedor-core`; did you mean that?"
        ),
    ),
    (
        "'ml-py-stevedore-core'",
        "'ml-py-stevedore-core', 'numpy=>2'",
        (
            "`project.dependencies[2]`: expected a distribution and its versions, such as "
            "`numpy>=2`, found `numpy=>2`"
        ),
    ),
    (
        "targets.wheel]",
        "targets.whel]",
        "`tool.hatch.build.targets.whel`: unknown key; did you mean `wheel`?",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), PROJECT, ids=lambda text: text[:20])
def test_project(workspace: Workspace, adder: Path, old: str, new: str, said: str) -> None:
    """A mistake in `pyproject.toml` is told with its key and what is meant."""
    edit(adder / "pyproject.toml", old, new)
    between = ": " if said.startswith("2 problems") else "/pyproject.toml: "
    assert refusal(workspace) == f"{adder}{between}{said}"


FILES = [
    (
        "predict.schema.json",
        '"minimum"',
        '"minimun"',
        (
            "predict.schema.json: `/$defs/row/properties/size/minimun`: `minimun` is no keyword of "
            "its draft; did you mean `minimum`?"
        ),
    ),
    (
        "examples/predict.json",
        "1",
        "-1",
        (
            "examples/predict.json: `/0/size`: expected what `predict.schema.json` says at "
            "`/$defs/row/properties/size/minimum`, `0`, found `-1`"
        ),
    ),
    (
        "examples/score.json",
        '"size": 1',
        '"sise": 1',
        (
            "2 problems\n  PLACE/examples/score.json: `/0`: expected what `score.schema.json` says "
            'at `/$defs/row/required`, `["size"]`, found `sise`; did you mean `size`?\n'
            "  PLACE/examples/score.json: `/0`: expected what `score.schema.json` says at "
            "`/$defs/row/additionalProperties`, `false`, found `sise`; did you mean `size`?"
        ),
    ),
    (
        "examples/score.json",
        "[",
        "[[",
        "examples/score.json: expected strict JSON: ",
    ),
    (
        "weights/weights.toml",
        "created",
        "craeted",
        (
            "2 problems\n  PLACE/weights/weights.toml: `created`: missing; expected when training "
            "ended, with its zone, such as `2026-01-31T12:00:00Z`\n"
            "  PLACE/weights/weights.toml: `craeted`: unknown key; did you mean `created`?"
        ),
    ),
    (
        "weights/weights.toml",
        "[sha256]",
        '[sha256]\n"model.npz" = "0"',
        (
            "2 problems\n  PLACE/weights/weights.toml: `sha256.model.npz`: expected a sha256 of 64 "
            "hexadecimal digits, found `0`\n  PLACE/weights/weights.toml: `sha256.model.npz`: "
            "expected a file in `weights/`, found none of that name"
        ),
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), FILES, ids=lambda text: text[:20])
def test_files(  # noqa: PLR0913, PLR0917  # what is edited, and what is said
    workspace: Workspace, adder: Path, file: str, old: str, new: str, said: str
) -> None:
    """A mistake in a schema, an example or the record of weights is told with its place."""
    place = "src/stevedore_model_adder"
    edit(adder / place / file, old, new)
    between = ": " if said.startswith("2 problems") else f"/{place}/"
    assert refusal(workspace).startswith(f"{adder}{between}{said.replace('PLACE', place)}")


def test_missing_file(workspace: Workspace, adder: Path) -> None:
    """A file by another name is missing, and the other name is told."""
    source = adder / "src" / "stevedore_model_adder"
    (source / "score.schema.json").rename(source / "scores.schema.json")
    assert refusal(workspace) == (
        f"{source}/score.schema.json: missing; expected beside `__init__.py`; "
        "did you mean `scores.schema.json`?"
    )


def test_weights_that_are_others(workspace: Workspace, adder: Path) -> None:
    """What lies in `weights/` is recorded, as it is."""
    weights = adder / "src" / "stevedore_model_adder" / "weights"
    tiny.write(weights / "model.npz", "weights")
    assert refusal(workspace) == (
        f"{weights}/weights.toml: `sha256.model.npz`: missing; expected its sha256: "
        "run `train.py`, which records it"
    )


def test_no_wheel_of_a_faulty_package(workspace: Workspace, adder: Path) -> None:
    """It is refused before its wheel is built."""
    edit(adder / "pyproject.toml", ":load", ":laod")
    tiny.track(workspace.root)
    package = workspace.model("adder")
    with pytest.raises(WorkspaceInvalid, match="did you mean `load`"):
        build_wheels([package], workspace=workspace, store=workspace.store)


def test_a_package_that_says_all_in_python(workspace: Workspace) -> None:
    """One without those files is held against its project only."""
    refuse_faulty_files(workspace.model("iris"))

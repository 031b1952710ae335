"""What the template of model packages makes, for each framework and in each form."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stevedore_build.scaffolds.fitted_files import ModelFacts, made_up
from stevedore_build.scaffolds.frameworks import TEMPLATE, find_framework, frameworks
from stevedore_build.scaffolds.models import answers_for
from stevedore_build.scaffolds.templating import digest_of, kept_answers, render
from stevedore_build.workspace import Workspace
from stevedore_core.strict_json import Json

ROOT = Path(__file__).parents[4]
LONG = "-".join(["long"] * 5)


def forms(framework: str) -> dict[str, tuple[ModelFacts, bool]]:
    """Return models of each form by name, and whether they are from a file."""
    label = made_up(find_framework(framework), task="label")
    number = made_up(find_framework(framework), task="number")
    columns = ("sepal length (cm)", "it's", 'say "so"', "größe")
    return {
        "label": (label, False),
        "number": (number, False),
        "label_from": (replace(label, labels=(0, 1, 2)), True),
        "number_from": (number, True),
        "named-label": (replace(label, columns=columns, shape=(4,), labels=(True, False)), True),
        "named-number": (replace(number, columns=columns[:1], shape=(1,)), True),
        "nested": (replace(label, shape=(8, 8), labels=tuple(map(str, range(40)))), True),
        "trusting": (replace(label, details={"trusted": ["a.B", "c.D"]}), True),
        LONG: (replace(label, labels=(0.5, 1.5)), True),
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this one's settings and a package of each framework in each form."""
    root = tmp_path_factory.mktemp("rendered")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copy(ROOT / "LICENSE", root)
    # The linter tells our own modules from others by their files.
    shutil.copytree(ROOT / "packages/core/src", root / "packages/core/src")
    for framework in frameworks():
        for form, (facts, from_file) in forms(framework).items():
            name = f"{framework}-{form}"
            answers = answers_for(name, facts, Workspace(root=root), from_file=from_file)
            render(answers, root / "models" / name)
    return root


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=lambda c: c[0])
def test_code_is_clean(rendered: Path, command: list[str]) -> None:
    """What is rendered passes the linter and the formatter under this repository's settings."""
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "models"]
    done = subprocess.run(ruff, cwd=rendered, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_documents_are_json(rendered: Path) -> None:
    """Each schema is JSON, with the labels and the form of an instance that were asked for."""
    schemas = sorted(rendered.glob("models/*/src/*/*.schema.json"))
    assert len(schemas) == 2 * len(forms("python")) * len(frameworks())
    for schema in schemas:
        json.loads(schema.read_text("utf-8"))
    (score,) = rendered.glob("models/python-nested/src/*/score.schema.json")
    labelled = json.loads(score.read_text("utf-8"))["items"]["properties"]
    assert labelled["label"] == {"enum": [str(n) for n in range(40)]}
    assert labelled["instance"]["minItems"] == labelled["instance"]["items"]["maxItems"] == 8


def test_answers_are_kept(tmp_path: Path) -> None:
    """A package says what it was rendered with, and from which template."""
    workspace = Workspace(root=tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    facts, _ = forms("sklearn")["named-label"]
    answers = answers_for("churn", facts, workspace, from_file=True)
    render(answers, tmp_path / "churn")
    assert kept_answers(tmp_path / "churn") == answers
    assert str(answers["template"]).endswith(digest_of())


def test_package_that_was_not_rendered(tmp_path: Path) -> None:
    """It has no answers."""
    assert kept_answers(tmp_path) is None


def test_digest_is_that_of_all_files(tmp_path: Path) -> None:
    """Another content of any file, or another name, is another template."""
    copy = tmp_path / "copy"
    shutil.copytree(TEMPLATE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert digest_of(copy) == digest_of()
    file = copy / "common" / "words.jinja"
    file.write_text(file.read_text("utf-8") + "\n")
    changed = digest_of(copy)
    file.rename(file.with_name("nouns.jinja"))
    assert len({digest_of(), changed, digest_of(copy)}) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("churn", "Churn"),
        ("churn-rate_2", "ChurnRate2"),
        ("predictor", "PredictorModel"),
        ("model-package", "ModelPackageModel"),
        ("none", "NoneModel"),
    ],
)
def test_name_of_the_class(tmp_path: Path, name: str, expected: Json) -> None:
    """A class is called like its model, but never like something else in its module."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    facts = made_up(find_framework("python"), task="label")
    answers = answers_for(name, facts, Workspace(root=tmp_path), from_file=False)
    assert answers["class_name"] == expected

"""New model packages in a tiny repository, of frameworks that need next to nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from stevedore_build.checks.running import check_model
from stevedore_build.cli.program import main
from stevedore_build.errors import (
    CheckFailed,
    ResolutionFailed,
    ScaffoldRefused,
    ToolFailed,
    WorkspaceInvalid,
)
from stevedore_build.processes import git
from stevedore_build.scaffolds.compositions import new_composition
from stevedore_build.scaffolds.fitted_files import made_up, read_fitted
from stevedore_build.scaffolds.frameworks import find_framework, frameworks
from stevedore_build.scaffolds.models import new_model
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

PYTHON = Path(sys.executable)
FRAMEWORKS = ", ".join(f"`{name}`" for name in frameworks())


@pytest.fixture
def workspace(tmp_path: Path, kept_adder: Path) -> Workspace:
    """The tiny repository, whose store has our own core too."""
    return tiny.make_repository(tmp_path / "repository", kept=kept_adder)


@pytest.fixture
def real(workspace: Workspace, index: Path) -> Workspace:
    """The tiny repository with our own core, whose requirements the index has."""
    tiny.use_real_core(workspace.root, index)
    tiny.name_author(workspace.root)
    tiny.commit(workspace.root)
    return workspace


def is_untouched(workspace: Workspace) -> bool:
    """Tell whether the models and compositions are those of before, and no draft is left."""
    status = git("status", "--porcelain", cwd=workspace.root)
    return status == "" and not list(workspace.store.drafts.glob("*"))


def test_made_model_passes_its_tests(real: Workspace) -> None:
    """A package that nobody has touched fulfils the contract, and git tracks it."""
    facts = made_up(find_framework("python"), task="label")
    place = new_model("churn", facts, workspace=real)
    check_model("churn", workspace=real, python=PYTHON, options=["-q"])
    assert place == real.root / "models" / "churn"
    assert list(real.store.drafts.glob("*")) == []
    tracked = git("ls-files", "models/churn", cwd=real.root).splitlines()
    assert sorted(file.removeprefix("models/churn/") for file in tracked) == [
        ".copier-answers.yml",
        "CHANGELOG.md",
        "README.md",
        "pyproject.toml",
        "src/stevedore_model_churn/__init__.py",
        "src/stevedore_model_churn/examples/predict.json",
        "src/stevedore_model_churn/examples/score.json",
        "src/stevedore_model_churn/predict.schema.json",
        "src/stevedore_model_churn/py.typed",
        "src/stevedore_model_churn/score.schema.json",
        "src/stevedore_model_churn/weights/model.json",
        "src/stevedore_model_churn/weights/weights.toml",
        "tests/known_answers.json",
        "tests/test_churn.py",
        "train.py",
    ]


def test_generated_tests_can_fail(real: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    """Another model under the same tests fails them: by its known answers."""
    place = new_model("churn", made_up(find_framework("python"), task="number"), workspace=real)
    code = place / "src" / "stevedore_model_churn" / "__init__.py"
    code.write_text(code.read_text("utf-8").replace("intercept + sum", "1 + sum"), "utf-8")
    with pytest.raises(CheckFailed, match="models/churn/tests: tests failed"):
        check_model("churn", workspace=real, python=PYTHON, options=["-q"])
    said = capfd.readouterr().out
    assert "FAILED models/churn/tests/test_churn.py::test_known_answers" in said
    assert "FAILED models/churn/tests/test_churn.py::test_score_is_above_the_floor" in said


def test_training_that_fails_leaves_nothing(real: Workspace, tmp_path: Path) -> None:
    """The name is not taken by a package that could not be made."""
    file = tmp_path / "model.json"
    file.write_text("no JSON")
    facts = made_up(find_framework("python"), task="label")
    with pytest.raises(ToolFailed, match=r"json\.decoder\.JSONDecodeError: Expecting value"):
        new_model("churn", facts, workspace=real, file=file)
    assert is_untouched(real)


@pytest.mark.parametrize("name", ["Churn", "../churn", ""])
def test_name_that_is_none(workspace: Workspace, name: str) -> None:
    """A name that breaks the grammar is refused before anything is made."""
    tiny.name_author(workspace.root)
    tiny.commit(workspace.root)
    with pytest.raises(ScaffoldRefused) as refused:
        new_model(name, made_up(find_framework("python"), task="label"), workspace=workspace)
    assert str(refused.value) == (
        "`NAME`: expected a name of lower-case letters, digits and single `-` or `_`, at most "
        f"63 characters, found `{name}`"
    )
    assert is_untouched(workspace)


@pytest.mark.parametrize("name", ["two-words", "two_words"])
def test_name_that_is_taken(workspace: Workspace, name: str) -> None:
    """`-` and `_` count as one, as in every name of a distribution."""
    tiny.add_model(workspace.root, "two-words")
    with pytest.raises(ScaffoldRefused) as refused:
        new_model(name, made_up(find_framework("python"), task="label"), workspace=workspace)
    assert str(refused.value) == (
        "`models/two-words` is there already; choose another name, or remove it"
    )


def test_nobody_to_ask(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a framework and without a terminal, an error lists the frameworks."""
    monkeypatch.chdir(workspace.root)
    assert main(["new-model", "churn"]) == 1
    assert capsys.readouterr().err == (
        f"error: `FRAMEWORK`: expected one of {FRAMEWORKS}, found nothing\n"
    )


@pytest.fixture
def arrays(real: Workspace, index: Path, tmp_path: Path) -> Path:
    """The file of a linear model in NumPy, which the index has."""
    tiny.pack_installed("numpy", index)
    file = tmp_path / "linear.npz"
    np.savez(file, coefficients=np.eye(3, 2), intercept=np.zeros(2), labels=np.array(["a", "b"]))
    assert is_untouched(real)
    return file


def test_model_from_a_file(real: Workspace, arrays: Path) -> None:
    """What the file says becomes schemas and examples, labelled by the model itself."""
    facts = read_fitted(arrays, workspace=real)
    assert (facts.framework.name, facts.task, facts.labels) == ("numpy", "label", ("a", "b"))
    assert (facts.shape, facts.columns) == ((3,), None)
    place = new_model("churn", facts, workspace=real, file=arrays)
    check_model("churn", workspace=real, python=PYTHON, options=["-q"])
    weights = place / "src" / "stevedore_model_churn" / "weights" / "model.npz"
    assert weights.read_bytes() == arrays.read_bytes()
    assert len(list(real.store.environments.iterdir())) == 1  # for looking, taking and labelling


def test_file_that_nothing_can_be_started_from(
    real: Workspace, arrays: Path, tmp_path: Path
) -> None:
    """What the framework's probe says is told with the file's name."""
    file = tmp_path / "other.npz"
    np.savez(file, weights=np.eye(2))
    assert arrays.exists()
    with pytest.raises(ScaffoldRefused) as refused:
        read_fitted(file, workspace=real)
    assert str(refused.value) == (
        f"`{file}`: expected the arrays `coefficients` (d,) and `intercept` () of a linear model "
        "of numbers, or `coefficients` (d, k), `intercept` (k,) and `labels` (k,) of one of "
        "labels, found `weights` (2, 2); for another kind of model, make a package with "
        "FRAMEWORK=numpy and change its `run_predict`"
    )


def test_file_that_is_not_there(workspace: Workspace, tmp_path: Path) -> None:
    """A misspelt path is told as such."""
    with pytest.raises(ScaffoldRefused) as refused:
        read_fitted(tmp_path / "model.skops", workspace=workspace)
    assert str(refused.value) == (
        f"`{tmp_path / 'model.skops'}`: expected the file of a fitted model, found no such file"
    )


@pytest.mark.parametrize(("name", "content"), [("model.h5", b"\x89HDF"), ("model.txt", b"hello")])
def test_file_of_an_unknown_kind(
    workspace: Workspace, tmp_path: Path, name: str, content: bytes
) -> None:
    """Neither suffix nor beginning say what made it: the known suffixes are listed."""
    file = tmp_path / name
    file.write_bytes(content)
    endings = ", ".join(
        f"`{suffix}` ({framework.title})"
        for framework in frameworks().values()
        for suffix in framework.suffixes
    )
    with pytest.raises(ScaffoldRefused) as refused:
        read_fitted(file, workspace=workspace)
    assert str(refused.value) == (
        f"`{file}`: cannot be told what made it; files that a model is made from end in {endings}"
    )


def test_file_of_another_framework(workspace: Workspace, tmp_path: Path) -> None:
    """A framework that was named has to be the file's."""
    file = tmp_path / "model.npz"
    file.write_bytes(b"PK")
    with pytest.raises(ScaffoldRefused) as refused:
        read_fitted(file, workspace=workspace, framework="sklearn")
    assert str(refused.value) == (
        f"`{file}`: expected a file of scikit-learn, `.skops`, found `.npz`"
    )


def test_new_composition(workspace: Workspace, index: Path) -> None:
    """The manifest pins the models as they are, and the lock is fresh."""
    assert index.is_dir()
    place, verdict = new_composition("both", ["iris", "digits"], workspace=workspace)
    assert (place / "composition.toml").read_text("utf-8") == (
        "# Which models ship in one image. `make lock NAME=both` resolves it.\n\n"
        'name = "both"\nversion = "1.0.0"\npython = "3.11"\n\n'
        '[models]\niris = "1.0.0"\ndigits = "1.0.0"\n'
    )
    changelog = "# Changelog\n\n## 1.0.0\n\nFirst version: `iris` 1.0.0 and `digits` 1.0.0.\n"
    assert (place / "CHANGELOG.md").read_text("utf-8") == changelog
    assert Lock.read(place).manifest_sha256 == Manifest.parse(place / "composition.toml").sha256
    assert "There was no lock to compare with." in verdict
    assert "both" in workspace.compositions()
    tracked = git("ls-files", "compositions/both/tests", cwd=workspace.root)
    assert tracked == "compositions/both/tests/test_both.py\n"


def test_composition_that_cannot_be_resolved(workspace: Workspace, index: Path) -> None:
    """Nothing is left of it."""
    tiny.add_model(workspace.root, "needy", requires=["nowhere-to-be-found"])
    tiny.name_author(workspace.root)
    tiny.commit(workspace.root)
    with pytest.raises(ResolutionFailed):
        new_composition("both", ["iris", "needy"], workspace=workspace)
    assert index.is_dir()
    assert is_untouched(workspace)


def test_composition_of_a_name_that_is_there(workspace: Workspace) -> None:
    """A composition is not made anew."""
    with pytest.raises(ScaffoldRefused) as refused:
        new_composition("pair", ["iris"], workspace=workspace)
    assert str(refused.value) == (
        "`compositions/pair` is there already; choose another name, or remove it"
    )


@pytest.mark.parametrize(("models", "found"), [([], "``"), (["iris", "iris"], "`iris iris`")])
def test_composition_of_no_models(workspace: Workspace, models: list[str], found: str) -> None:
    """At least one has to be named, and none twice."""
    with pytest.raises(ScaffoldRefused) as refused:
        new_composition("both", models, workspace=workspace)
    assert str(refused.value) == (
        '`MODELS`: expected the names of models, each once, such as `MODELS="iris digits"`, found '
        f"{found}"
    )


def test_composition_of_an_unknown_model(workspace: Workspace) -> None:
    """A misspelt model is told with the one that is meant."""
    with pytest.raises(WorkspaceInvalid) as refused:
        new_composition("both", ["iris", "digit"], workspace=workspace)
    assert str(refused.value) == "`models/digit` is no package; did you mean `digits`?"

"""A newer template in a package that was made from an older one, on a tiny repository."""

import shutil
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import ScaffoldRefused
from stevedore_build.scaffolds.fitted_files import made_up
from stevedore_build.scaffolds.frameworks import TEMPLATE, find_framework
from stevedore_build.scaffolds.models import answers_for, template_now
from stevedore_build.scaffolds.templating import kept_answers, render
from stevedore_build.scaffolds.updates import Update, update_model
from stevedore_build.workspace import Workspace

FLOOR = "assert accuracy.value >= 0.9\n"
IN_HISTORY = Path("packages/build/src/stevedore_build/templates/model")
TESTS = Path("tests", "test_churn.py")


@pytest.fixture
def package(workspace: Workspace) -> Path:
    """A package made from a template that has a lower floor and no changelog, all committed."""
    root = workspace.root
    tiny.name_author(root)
    old = root / IN_HISTORY
    shutil.copytree(TEMPLATE, old, ignore=shutil.ignore_patterns("__pycache__"))
    replace(next(old.glob("tree/tests/*")), ">= 0.9", ">= 0.5")
    (old / "tree" / "CHANGELOG.md.jinja").unlink()
    facts = made_up(find_framework("python"), task="label")
    answers = answers_for("churn", facts, workspace, from_file=False)
    render(answers | {"template": template_now(old)}, root / "models" / "churn", template=old)
    tiny.commit(root, "Make churn")
    shutil.rmtree(old)
    tiny.commit(root, "Have a newer template elsewhere")
    return root / "models" / "churn"


def replace(file: Path, old: str, new: str) -> None:
    """Put one text in place of another, which has to be there."""
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_change_arrives_and_edit_survives(workspace: Workspace, package: Path) -> None:
    """What changed in the template is merged into what the author changed elsewhere."""
    replace(package / TESTS, '["no", "yes"]', '["stays", "leaves"]')
    (package / "README.md").unlink()
    tiny.commit(workspace.root, "Edit churn")
    update = update_model("churn", workspace=workspace)
    assert update == Update(
        changed=(".copier-answers.yml", "CHANGELOG.md", str(TESTS)), conflicts=()
    )
    text = (package / TESTS).read_text("utf-8")
    assert FLOOR in text
    assert '["stays", "leaves"]' in text
    assert (package / "CHANGELOG.md").read_text("utf-8").startswith("# Changelog\n")
    assert not (package / "README.md").exists()
    answers = kept_answers(package)
    assert answers is not None
    assert answers["template"] == template_now()


def test_conflict_is_marked(workspace: Workspace, package: Path) -> None:
    """Where both changed the same line, both stand there, and the file is named."""
    replace(package / TESTS, ">= 0.5", ">= 0.7")
    tiny.commit(workspace.root, "Edit churn")
    update = update_model("churn", workspace=workspace)
    assert update.conflicts == (str(TESTS),)
    assert (
        "<<<<<<< yours\n    assert accuracy.value >= 0.7\n=======\n"
        "    assert accuracy.value >= 0.9\n>>>>>>> the template now\n"
    ) in (package / TESTS).read_text("utf-8")


def test_second_update_changes_nothing(workspace: Workspace, package: Path) -> None:
    """What is up to date stays as it is."""
    update_model("churn", workspace=workspace)
    tiny.commit(workspace.root, "Update churn")
    assert update_model("churn", workspace=workspace) == Update(changed=(), conflicts=())
    assert package.is_dir()


def test_uncommitted_changes(workspace: Workspace, package: Path) -> None:
    """An update could not be told from what the author has not committed."""
    replace(package / TESTS, ">= 0.5", ">= 0.7")
    with pytest.raises(ScaffoldRefused) as refused:
        update_model("churn", workspace=workspace)
    assert str(refused.value) == (
        "`models/churn` has changes that are not committed; commit them first, so that `git diff` "
        "shows what an update changes"
    )


def test_package_of_another_origin(workspace: Workspace) -> None:
    """A package that was written by hand has nothing to be merged with."""
    with pytest.raises(ScaffoldRefused) as refused:
        update_model("iris", workspace=workspace)
    assert str(refused.value) == (
        "`models/iris/.copier-answers.yml` is not there: only what `make new-model` made is updated"
    )


@pytest.mark.usefixtures("index")
def test_template_that_is_gone(workspace: Workspace, package: Path) -> None:
    """Without the template of then, nobody knows what the author changed."""
    answers = package / ".copier-answers.yml"
    digest = answers.read_text("utf-8").split()[-1].rstrip('"')
    replace(answers, digest, "0" * 64)
    tiny.commit(workspace.root, "Name a template that never was")
    with pytest.raises(ScaffoldRefused) as refused:
        update_model("churn", workspace=workspace)
    assert str(refused.value) == (
        "the template that the package was made from, of ml-py-stevedore-build 0.1.0 with sha256 "
        f"`{'0' * 64}`, is neither in git history nor in a wheel of that version"
    )

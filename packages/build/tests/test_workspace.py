"""Packages, models and compositions are found by their files."""

import shutil
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.workspace import Workspace, is_own


def edit(file: Path, old: str, new: str) -> None:
    """Replace one piece of text, which must be there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_finds_everything(workspace: Workspace) -> None:
    """Nothing is listed anywhere: a directory with the right file is enough."""
    assert [package.folder for package in workspace.packages()] == ["api", "core"]
    assert [package.folder for package in workspace.models()] == ["digits", "iris"]
    assert workspace.compositions() == ("pair",)
    assert workspace.model("iris").import_name == "stevedore_model_iris"
    assert workspace.package("core").backend == "hatchling==1.33.0"
    assert workspace.composition("pair") == workspace.root / "compositions" / "pair"


def test_around(workspace: Workspace, tmp_path: Path) -> None:
    """Commands work anywhere inside a checkout, and say so outside of one."""
    assert Workspace.around(workspace.root / "models" / "iris") == workspace
    with pytest.raises(WorkspaceInvalid) as caught:
        Workspace.around(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: not inside a workspace of ML-Py-Stevedore (no directory above it has "
        "`packages/core/pyproject.toml` or `requirements/stevedore.txt`); change into one, or make "
        "one in an empty directory with `ml-stevedore init`"
    )


def test_no_models(workspace: Workspace) -> None:
    """Finding nothing is an error, not an empty success."""
    shutil.rmtree(workspace.root / "models")
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.models()
    assert str(caught.value) == (
        f"{workspace.root / 'models'}: no package found; each is `models/<name>/pyproject.toml`; "
        "make one with `make new-model NAME=…`"
    )


def test_no_compositions(workspace: Workspace) -> None:
    """The same for compositions."""
    shutil.rmtree(workspace.root / "compositions")
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.compositions()
    assert str(caught.value) == (
        f"{workspace.root / 'compositions'}: no composition found; make one with "
        '`make new-composition NAME=… MODELS="…"`'
    )


def test_unknown_names(workspace: Workspace) -> None:
    """A name that is nearly right gets the right one, another one all there are."""
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.model("iri")
    assert str(caught.value) == "`models/iri` is no package; did you mean `iris`?"
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.model("tulip")
    assert str(caught.value) == (
        "`models/tulip` is no package; there are `digits`, `iris`; `make new-model NAME=tulip` "
        "makes it"
    )
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.composition("pear")
    assert str(caught.value) == (
        "`compositions/pear/composition.toml` does not exist; did you mean `pair`?"
    )
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.composition("tulips")
    assert str(caught.value) == (
        "`compositions/tulips/composition.toml` does not exist; there are `pair`; "
        '`make new-composition NAME=tulips MODELS="…"` makes it'
    )
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.composition("")
    assert str(caught.value) == (
        "`compositions//composition.toml` does not exist; there are `pair`"
    )


def test_folder_name(workspace: Workspace) -> None:
    """A folder's name is the model's, so it follows the grammar of names."""
    tiny.add_model(workspace.root, "Odd")
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.models()
    assert str(caught.value) == (
        f"{workspace.root / 'models' / 'Odd'}: expected a name of lower-case letters, digits and "
        "single `-` or `_`, at most 63 characters, found `Odd`"
    )


@pytest.mark.fault("H1")
def test_equal_names(workspace: Workspace) -> None:
    """Two folders may not differ by `-` and `_` alone: their distributions would be one."""
    for name in ("big-one", "big_one"):
        directory = workspace.root / "models" / name
        tiny.add_model(workspace.root, "x").rename(directory)
        edit(directory / "pyproject.toml", '"stevedore-model-x"', '"stevedore-model-big-one"')
        (directory / "src/stevedore_model_x").rename(directory / "src/stevedore_model_big_one")
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.models()
    assert str(caught.value) == (
        f"{workspace.root / 'models'}: `big-one` and `big_one` are the same name, `-` and `_` "
        "count as one; rename one of them"
    )


def test_distribution_name(workspace: Workspace) -> None:
    """Folder and distribution say the same."""
    project = workspace.root / "models/iris/pyproject.toml"
    edit(project, '"stevedore-model-iris"', '"iris"')
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.models()
    assert str(caught.value) == (
        f"{project}: `project.name`: expected `stevedore-model-iris`, as the folder is `iris`, "
        "found `iris`"
    )


def test_import_package(workspace: Workspace) -> None:
    """The code is where the name says."""
    shutil.rmtree(workspace.root / "models/iris/src")
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.models()
    assert str(caught.value) == (
        f"{workspace.root / 'models/iris'}: expected `src/stevedore_model_iris/__init__.py`, "
        "found no such file"
    )


def test_backend(workspace: Workspace) -> None:
    """The build backend is pinned: another version may write other wheels."""
    project = workspace.root / "models/iris/pyproject.toml"
    edit(project, "hatchling==1.33.0", "hatchling>=1")
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.models()
    assert str(caught.value) == (
        f"{project}: `build-system.requires`: expected one exact pin of hatchling, such as "
        "`hatchling==1.33.0`, found `['hatchling>=1']`"
    )


def test_not_toml(workspace: Workspace) -> None:
    """A broken file is named."""
    project = workspace.root / "models/iris/pyproject.toml"
    project.write_text("name")
    with pytest.raises(WorkspaceInvalid) as caught:
        workspace.models()
    assert str(caught.value) == (
        f"{project}: not TOML: Expected '=' after a key in a key/value pair (at end of document)"
    )


def test_is_own() -> None:
    """Our names are recognised however they are spelled."""
    assert is_own("ML.Py_Stevedore-core")
    assert is_own("stevedore-model-x")
    assert not is_own("stevedore")


def test_shared_weights(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable names the directory where several checkouts keep fetched weights."""
    assert workspace.store.weights == workspace.root / ".stevedore" / "weights"
    monkeypatch.setenv("STEVEDORE_WEIGHTS_CACHE", "/shared/weights")
    assert workspace.store.weights == Path("/shared/weights")
    monkeypatch.setenv("STEVEDORE_WEIGHTS_CACHE", "shared")
    with pytest.raises(WorkspaceInvalid) as caught:
        _ = workspace.store
    assert str(caught.value) == (
        "`STEVEDORE_WEIGHTS_CACHE`: expected the absolute path of a directory, found `shared`"
    )

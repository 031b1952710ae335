"""`ModelPackage`: name, version, documents and weights of an installed model package."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stevedore_core.discovery import load_model
from stevedore_core.errors import (
    ExampleInvalid,
    ModelAbsent,
    ModelWrongKind,
    SchemaInvalid,
    WeightsMismatch,
)
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.weights import WeightsRecord, record_weights

InstallModel = Callable[..., Path]

SOURCE = """
from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor


class Adding(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        return X + self.model


def load():
    package = ModelPackage(__name__)
    return Adding.from_package(package, int(package.weights("weights.txt").read_text()))
"""
FILES = {
    "predict.schema.json": '{"type": "integer"}',
    "score.schema.json": '{"type": "array"}',
    "examples/predict.json": "1",
    "examples/score.json": "[1, 2]",
    "weights/weights.txt": "40",
}
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def write_files(directory: Path) -> None:
    """Put what a model package holds beside its code."""
    for name, text in FILES.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    record_weights(directory / "weights", ["weights.txt"], created=CREATED)


@pytest.fixture
def package(install_model: InstallModel) -> Path:
    """The directory of an installed model package whose Predictor comes from its files."""
    directory = install_model("add", SOURCE)
    write_files(directory)
    return directory


@pytest.mark.usefixtures("package")
def test_a_predictor_comes_from_the_packages_files() -> None:
    """Name and version come from the metadata, all else from files; no constructor is written."""
    predictor = load_model("add")
    assert (predictor.name, predictor.version) == ("add", "1.0.0")
    assert predictor.created == "2026-01-02T03:04:05+00:00"
    assert (predictor.p_schema, predictor.s_schema) == ({"type": "integer"}, {"type": "array"})
    assert (predictor.test_input, predictor.score_test_input) == (1, [1, 2])
    assert predictor.predict(2) == 42


def test_a_model_name_with_an_underscore_is_found(install_model: InstallModel) -> None:
    """The distribution's name has a hyphen where the import name has an underscore."""
    write_files(install_model("add_two", SOURCE, distribution="stevedore-model-add-two"))
    assert load_model("add_two").name == "add_two"


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_a_missing_file_is_named(package: Path, name: str) -> None:
    """Every schema and example must be there."""
    (package / name).unlink()
    with pytest.raises(ExampleInvalid) as caught:
        load_model("add")
    assert str(caught.value) == f"`add` lacks the file `{name}`"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "EOF while parsing an object at line 1 column 1"),
        ('{"a":1,"a":1}', "one object has the same key twice, at line 1 column 12"),
        ("NaN", "expected value at line 1 column 1"),
    ],
)
def test_a_file_that_is_not_strict_json_is_named(package: Path, text: str, reason: str) -> None:
    """A packaged file is read as strictly as what a caller sends."""
    (package / "examples" / "predict.json").write_text(text)
    with pytest.raises(ExampleInvalid) as caught:
        load_model("add")
    assert str(caught.value) == (
        f"`add`, file `examples/predict.json`: the body is not strict JSON: {reason}"
    )


def test_an_example_that_does_not_fit_is_refused(package: Path) -> None:
    """The Predictor's own check holds for packages too."""
    (package / "examples" / "predict.json").write_text('"one"')
    with pytest.raises(ExampleInvalid) as caught:
        load_model("add")
    assert str(caught.value) == (
        "`add: test_input`: the payload does not fit the schema: "
        '``: the value is not of type "integer"'
    )


def test_a_schema_that_does_not_compile_is_refused(package: Path) -> None:
    """A reference to another document is found when the model is loaded."""
    (package / "predict.schema.json").write_text('{"$ref": "http://example.test/a.json"}')
    with pytest.raises(SchemaInvalid, match=r"^`add: prediction schema` is not a usable"):
        load_model("add")


def test_changed_weights_are_refused(package: Path) -> None:
    """A model whose weights are not the recorded ones is not loaded."""
    (package / "weights" / "weights.txt").write_text("41")
    with pytest.raises(WeightsMismatch, match=r"^`weights.txt` is not the recorded file: "):
        load_model("add")


def test_missing_weights_record_is_refused(package: Path) -> None:
    """A model whose weights nobody recorded is not loaded."""
    (package / "weights" / "weights.toml").unlink()
    with pytest.raises(WeightsMismatch, match=r"^`weights.toml` is missing: "):
        load_model("add")


def test_weights_are_found_in_the_layout(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too large for a package lies in the layout that it is imported from, by links too."""
    layout = tmp_path / "layout"
    (layout / "models" / "add").mkdir(parents=True)
    (layout / "models" / "add" / "1.0.0").symlink_to(package.parent)
    monkeypatch.syspath_prepend(str(layout / "models" / "add" / "1.0.0"))
    large = package / "weights" / "weights.txt"
    fetched = FetchedFile.of(large, path="weights.txt")
    record_weights(package / "weights", [], created=CREATED, fetched=[fetched])
    place = layout / "weights" / WeightsRecord.read(package / "weights").fetched_digest
    place.mkdir(parents=True)
    large.rename(place / "weights.txt")
    assert load_model("add").predict(2) == 42
    (place / "weights.txt").unlink()
    with pytest.raises(WeightsMismatch, match=r"^`weights.txt` is not here: "):
        load_model("add")


def test_code_that_is_not_installed_has_no_package(
    install_model: InstallModel, tmp_path: Path
) -> None:
    """Code on the path without metadata is no model package."""
    install_model("add", SOURCE, distribution="elsewhere")
    with pytest.raises(ModelAbsent) as caught:
        load_model("add")
    assert str(caught.value) == "`stevedore_model_add` is not installed as a distribution"
    assert tmp_path.is_dir()


@pytest.mark.parametrize(
    ("points", "count"),
    [
        ("[ml_py_stevedore.models]\nadd = stevedore_model_add:load\nsub = math:floor\n", 2),
        ("[other.group]\nadd = stevedore_model_add:load\n", 0),
    ],
)
def test_a_package_provides_one_model(package: Path, points: str, count: int) -> None:
    """None or several entry points are of the wrong kind."""
    info = next(package.parent.glob("*.dist-info"))
    (info / "entry_points.txt").write_text(points)
    extra = package.parent / "other-1.0.0.dist-info"
    extra.mkdir()
    (extra / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0.0\n")
    if not count:
        (extra / "entry_points.txt").write_text(
            "[ml_py_stevedore.models]\nadd = stevedore_model_add:load\n"
        )
    with pytest.raises(ModelWrongKind) as caught:
        load_model("add")
    assert str(caught.value) == (
        "`stevedore_model_add` must have one entry point in `ml_py_stevedore.models`, "
        f"found {count}"
    )

"""The rules of the conformance suite about packages, on a model package made for the test."""

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from stevedore_core.discovery import load_model
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.payload_types import declared_schemas
from stevedore_core.testing import Conformance, changed_weights
from stevedore_core.weights import WeightsRecord, record_weights

pytest_plugins = ["pytester"]

CODE = """
from pathlib import Path
from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor


class Doubler(Predictor):
    batchable = True

    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        return [float(self.model) * x for x in X]

    def convert_score_input(self, payload):
        return [row[0] for row in payload], [row[1] for row in payload]

    def run_scores(self, X, y):
        return max(abs(a - b) for a, b in zip(self.run_predict(X), y))


def load():
    package = ModelPackage(__name__)
    return Doubler.from_package(package, package.weights("model.txt").read_text())
"""

NUMBER = '{"type": "number", "minimum": 0, "maximum": 9}'
ARRAY = '"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array", "minItems": 1'
PAIR = f'{{"type": "array", "prefixItems": [{NUMBER}, {NUMBER}], "minItems": 2}}'
FILES = {
    "__init__.py": CODE,
    "predict.schema.json": f'{{{ARRAY}, "items": {NUMBER}}}',
    "score.schema.json": f'{{{ARRAY}, "items": {PAIR}}}',
    "examples/predict.json": "[1, 2.5]",
    "examples/score.json": "[[1, 2.0]]",
    "weights/model.txt": "2.0",
}


class Suite(Conformance):
    """The suite as a model package has it; not collected, since its name does not start so."""

    model = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakePackage:
    """A model package `fake` 1.0.0, installed in a directory of its own."""

    site: Path

    @property
    def directory(self) -> Path:
        """Where its code lies."""
        return self.site / "stevedore_model_fake"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePackage]:
    """A package that keeps all rules."""
    package = FakePackage(site=tmp_path / "site")
    for folder in ("examples", "weights"):
        (package.directory / folder).mkdir(parents=True)
    for name, text in FILES.items():
        (package.directory / name).write_text(text)
    record_weights(package.directory / "weights", ["model.txt"], created=datetime.now(UTC))
    metadata = package.site / "stevedore_model_fake-1.0.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: stevedore-model-fake\nVersion: 1.0.0\n")
    (metadata / "entry_points.txt").write_text(
        "[ml_py_stevedore.models]\nfake = stevedore_model_fake:load\n"
    )
    monkeypatch.syspath_prepend(package.site)
    importlib.invalidate_caches()
    yield package
    for name in ("stevedore_model_fake", "stevedore_model_fake.payloads"):
        sys.modules.pop(name, None)


SUITE = """
from stevedore_core.testing import Conformance

class TestConformance(Conformance):
    model = "fake"
"""
RULES = [name for name in dir(Conformance) if name.startswith("test_")]


@pytest.mark.usefixtures("fake")
def test_suite_runs_in_a_few_lines(pytester: pytest.Pytester) -> None:
    """A model package's test is a class with the model's name: pytest runs all rules."""
    pytester.makepyfile(SUITE)
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=len(RULES))


HEAD = """
import dataclasses
from typing import Annotated, TypedDict
import msgspec, pydantic
from msgspec import Meta
from stevedore_core.arrays import array

Small = Annotated[float, Meta(ge=0, le=9)]
Some = Meta(min_length=1, title="Numbers")
"""
CLASS = "class Row(TypedDict):\n    value: Small\n    label: Small\n"
KINDS = {
    "numbers": "PredictPayload = Annotated[list[Small], Some]\n",
    "array": "PredictPayload = array(shape=('n',), dtype='float64', minimum=0, maximum=9)\n",
    "TypedDict": f"{CLASS}PredictPayload = Annotated[list[Row], Some]\n",
    "dataclass": (
        f"@dataclasses.dataclass\n{CLASS.replace('(TypedDict)', '')}"
        "PredictPayload = Annotated[list[Row], Some]\n"
    ),
    "Struct": (
        f"{CLASS.replace('TypedDict', 'msgspec.Struct')}"
        "PredictPayload = Annotated[list[Row], Some]\n"
    ),
    "pydantic": (
        "class Row(pydantic.BaseModel):\n"
        "    value: float = pydantic.Field(ge=0, le=9)\n    label: float\n"
        "PredictPayload = Annotated[list[Row], pydantic.Field(min_length=1)]\n"
    ),
}


def declare(fake: FakePackage, declarations: str) -> None:
    """Have the package declare types; it is imported anew."""
    (fake.directory / "payloads.py").write_text(HEAD + declarations)
    sys.modules.pop("stevedore_model_fake.payloads", None)
    importlib.invalidate_caches()


def write_schemas(*files: str, fake: FakePackage) -> None:
    """Write the files that the package's types stand for."""
    declared = declared_schemas("fake")
    assert list(declared) == list(files)
    for file, schema in declared.items():
        (fake.directory / file).write_text(json.dumps(schema, sort_keys=True))


@pytest.mark.parametrize("kind", KINDS)
def test_stale_schema_file_fails(fake: FakePackage, kind: str) -> None:
    """A file passes however it is laid out, until its type is changed; what writes it is said."""
    declare(fake, KINDS[kind])
    write_schemas("predict.schema.json", fake=fake)
    Suite().test_schema_files_are_what_their_types_give()
    narrower = (HEAD + KINDS[kind]).replace("=9", "=8").replace("le=9", "le=8")
    (fake.directory / "payloads.py").write_text(f"{narrower}# a byte more\n")
    sys.modules.pop("stevedore_model_fake.payloads")
    with pytest.raises(pytest.fail.Exception) as failed:
        Suite().test_schema_files_are_what_their_types_give()
    assert str(failed.value) == STALE


STALE = (
    "`predict.schema.json` is not what `PredictPayload` in `payloads.py` gives: "
    "run `make schemas NAME=fake`"
)


@pytest.mark.parametrize("written", [None, FILES["predict.schema.json"]])
def test_schema_file_that_nobody_wrote_fails(fake: FakePackage, written: str | None) -> None:
    """A file that is missing, or that was written by hand before, is found."""
    declare(fake, KINDS["numbers"])
    file = fake.directory / "predict.schema.json"
    file.unlink() if written is None else file.write_text(written)
    with pytest.raises(pytest.fail.Exception) as failed:
        Suite().test_schema_files_are_what_their_types_give()
    assert str(failed.value) == STALE


ROWS = (
    CODE.replace("return payload\n", 'return [row["value"] for row in payload]\n')
    .replace("[row[0] for row in payload]", "self.convert_prediction_input(payload)")
    .replace("row[1]", 'row["label"]')
)


@pytest.mark.parametrize("kind", ["TypedDict", "pydantic"])
def test_package_of_typed_rows_passes(
    fake: FakePackage, pytester: pytest.Pytester, kind: str
) -> None:
    """Rows with column names keep every rule, on the schemas that their type gives."""
    declare(fake, f"{KINDS[kind]}ScorePayload = PredictPayload\n")
    (fake.directory / "__init__.py").write_text(ROWS)
    write_schemas("predict.schema.json", "score.schema.json", fake=fake)
    for name in ("predict", "score"):
        rows = [{"value": 1, "label": 2.0}, {"value": 2.5, "label": 5}]
        (fake.directory / "examples" / f"{name}.json").write_text(json.dumps(rows))
    pytester.makepyfile(SUITE)
    run = pytester.runpytest_inprocess("-W", "error", "-k", "not weights")  # those are as above
    run.assert_outcomes(passed=len([name for name in RULES if "weights" not in name]))


def test_type_without_a_schema_fails(fake: FakePackage) -> None:
    """What cannot be said in a schema is found where the package is tested."""
    declare(fake, "PredictPayload = set[int]\n")
    with pytest.raises(pytest.fail.Exception) as failed:
        Suite().test_schema_files_are_what_their_types_give()
    assert str(failed.value) == (
        "`stevedore_model_fake.payloads` declares what has no JSON Schema: "
        "`PredictPayload`: `set`: JSON has arrays only; use `list`"
    )


@pytest.mark.usefixtures("fake")
def test_conforming_package_passes(tmp_path: Path) -> None:
    """A package that keeps all rules passes those about packages."""
    suite = Suite()
    suite.test_version_is_that_of_the_package(load_model("fake"))
    suite.test_weights_are_recorded()
    suite.test_schema_files_are_what_their_types_give()
    suite.test_changed_weights_are_refused(tmp_path)


@pytest.mark.usefixtures("fake")
def test_wrong_version_fails() -> None:
    """The version is that of the distribution."""
    predictor = load_model("fake")
    predictor.version = "v1"
    with pytest.raises(pytest.fail.Exception) as failed:
        Suite().test_version_is_that_of_the_package(predictor)
    assert str(failed.value) == (
        "the Predictor calls for the distribution `stevedore-model-fake v1`, "
        "found `stevedore-model-fake 1.0.0`"
    )


@pytest.mark.parametrize(
    ("content", "found"), [("extra.txt", "['extra.txt', 'model.txt']"), (None, "[]")]
)
def test_unrecorded_weights_fail(fake: FakePackage, content: str | None, found: str) -> None:
    """A file without a record, and a record without a file, are found."""
    weights = fake.directory / "weights"
    if content is None:
        (weights / "model.txt").unlink()
    else:
        (weights / content).write_text("3.0")
    with pytest.raises(pytest.fail.Exception) as failed:
        Suite().test_weights_are_recorded()
    assert str(failed.value) == f"`weights.toml` records ['model.txt'], `weights/` holds {found}"


NOT_REFUSED: Final = "weights `{}` with a flipped bit must be refused, found: {}"


def complaint(tmp_path: Path) -> str:
    """Return what the suite says of a package that does not refuse changed weights."""
    with pytest.raises(pytest.fail.Exception) as failed:
        Suite().test_changed_weights_are_refused(tmp_path)
    return str(failed.value)


def test_unchecked_weights_fail(fake: FakePackage, tmp_path: Path) -> None:
    """A package that reads its weights without checking them is found."""
    unchecked_read = '(Path(__file__).parent / "weights" / "model.txt")'
    code = CODE.replace('package.weights("model.txt")', unchecked_read)
    (fake.directory / "__init__.py").write_text(code)
    assert complaint(tmp_path) == NOT_REFUSED.format("model.txt", "loaded")


def test_broken_load_is_no_refusal(fake: FakePackage, tmp_path: Path) -> None:
    """A package that fails for another reason did not check its weights."""
    (fake.directory / "__init__.py").write_text("def load():\n    raise ValueError\n")
    assert complaint(tmp_path) == NOT_REFUSED.format("model.txt", "ModelBroken")


def test_dead_process_is_no_refusal(fake: FakePackage, tmp_path: Path) -> None:
    """A package that ends the process that loads it did not check its weights."""
    (fake.directory / "__init__.py").write_text("import os\n\n\ndef load():\n    os._exit(7)\n")
    assert complaint(tmp_path) == NOT_REFUSED.format("model.txt", "exit status 7")


@pytest.mark.usefixtures("fake")
def test_another_copy_is_no_answer(tmp_path: Path) -> None:
    """What is loaded must be the changed copy, or the outcome says nothing."""
    assert changed_weights.main("fake", str(tmp_path)) == "loaded"
    assert changed_weights.main("fake", str(tmp_path / "elsewhere")) == (
        "`stevedore_model_fake` was not imported from the changed copy"
    )


def test_refusal_is_called_by_its_name(fake: FakePackage) -> None:
    """An outcome is the name of the error that loading raised."""
    (fake.directory / "weights" / "model.txt").write_text("3.0")
    assert changed_weights.main("fake", str(fake.site)) == "WeightsMismatch"


def fetch_weights(fake: FakePackage, tmp_path: Path, packaged: Sequence[str] = ()) -> Path:
    """Have the package fetch its weights, and lay them into a layout that it is imported from."""
    layout = tmp_path / "layout"
    (layout / "models" / "fake").mkdir(parents=True)
    (layout / "models" / "fake" / "1.0.0").symlink_to(fake.site)
    weights = fake.directory / "weights"
    fetched = FetchedFile.of(weights / "model.txt", path="model.txt")
    for name in packaged:
        (weights / name).write_text("more")
    record_weights(weights, packaged, created=datetime.now(UTC), fetched=[fetched])
    place = layout / "weights" / WeightsRecord.read(weights).fetched_digest
    place.mkdir(parents=True)
    (weights / "model.txt").rename(place / "model.txt")
    return layout / "models" / "fake" / "1.0.0"


@pytest.mark.parametrize("packaged", [[], ["more.txt"]])
def test_fetched_weights_conform(
    fake: FakePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packaged: list[str]
) -> None:
    """Files that are fetched count as recorded, with files of the package or without."""
    checks = "".join(f"    package.weights({name!r})\n" for name in packaged)
    code = CODE.replace("    return Doubler.", f"{checks}    return Doubler.")
    (fake.directory / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(fetch_weights(fake, tmp_path, packaged))
    Suite().test_weights_are_recorded()
    Suite().test_changed_weights_are_refused(tmp_path)


def test_unchecked_fetched_weights_fail(
    fake: FakePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that reads what was fetched without checking it is found."""
    site = fetch_weights(fake, tmp_path)
    (place,) = (tmp_path / "layout" / "weights").iterdir()
    code = CODE.replace('package.weights("model.txt")', f'Path({str(place)!r}, "model.txt")')
    (fake.directory / "__init__.py").write_text(f"from pathlib import Path\n{code}")
    monkeypatch.syspath_prepend(site)
    assert complaint(tmp_path) == NOT_REFUSED.format("model.txt", "loaded")


def test_unchecked_weights_beside_fetched_ones_fail(
    fake: FakePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packaged file that nobody checks is found although another one is fetched."""
    monkeypatch.syspath_prepend(fetch_weights(fake, tmp_path, ["more.txt"]))
    assert complaint(tmp_path) == NOT_REFUSED.format("more.txt", "loaded")

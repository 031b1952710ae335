"""Predictors of an original `model.py` become model packages, or a message says what to do."""

import json
import sys
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.errors import OriginalRefused, ToolFailed
from stevedore_build.originals.importing import import_originals
from stevedore_build.workspace import Workspace, version_in

ORIGINAL = """\
import numpy as np
from predictor import Predictor


class Shift(Predictor):
    def convert_prediction_input(self, x):
        return np.asarray(x, dtype=float)

    def run_predict(self, X):
        return X + MODEL

    def convert_output(self, res):
        return res.tolist()

    def convert_score_input(self, items):
        return [item["x"] for item in items], [item["y"] for item in items]

    def run_scores(self, X, y):
        return 1.0


print("training")
numbers = {"type": "array", "items": {"type": "number"}}
points = {"type": "array", "items": {"type": "object"}}


def shift(model, name="shift", version="v1", example=(1, 2)):
    return Shift(model, name, list(example), numbers, [{"x": 1, "y": 2}], points, version)


predictors = [PREDICTORS]
"""


@pytest.fixture
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The tiny workspace, around which commands run."""
    monkeypatch.chdir(workspace.root)
    return workspace


def original(root: Path, predictors: str, *, model: str = 'self.model["by"]') -> Path:
    """Write an original that holds some predictors, where the original has it."""
    file = root / "original" / "service" / "model" / "model.py"
    tiny.write(file, ORIGINAL.replace("PREDICTORS", predictors).replace("MODEL", model))
    return file


def imported(file: Path, workspace: Workspace, name: str = "") -> tuple[str, ...]:
    """Import with the Python that runs the tests: it has numpy."""
    return import_originals(file, python=Path(sys.executable), workspace=workspace, name=name)


def refused(file: Path, workspace: Workspace, name: str = "") -> str:
    """Return why a file is refused, once it is known that nothing was written."""
    with pytest.raises(OriginalRefused) as caught:
        imported(file, workspace, name)
    assert {path.name for path in (workspace.root / "models").iterdir()} == {"iris", "digits"}
    return str(caught.value)


def test_two_predictors(here: Workspace, tmp_path: Path) -> None:
    """Each becomes a package that the workspace finds, with its version and its files."""
    file = original(tmp_path, 'shift({"by": 1}), shift({"by": 2}, "two-by", "v2.1")')
    assert imported(file, here) == ("shift", "two-by")
    assert version_in(here.model("two-by").directory) == "2.1.0"
    place = here.model("shift").directory
    code = place / "src" / "stevedore_model_shift"
    assert json.loads((code / "weights" / "model.json").read_text()) == {"by": 1}
    assert json.loads((code / "examples" / "score.json").read_text()) == [{"x": 1, "y": 2}]
    assert json.loads((code / "predict.schema.json").read_text()) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "array",
        "items": {"type": "number"},
    }
    assert json.loads((place / "tests" / "answer.json").read_text()) == [2.0, 3.0]
    assert '    "numpy==' in (place / "pyproject.toml").read_text()
    assert "class Shift(Predictor):" in (code / "original.py").read_text()
    assert "training" not in (code / "original.py").read_text()


@pytest.mark.parametrize(
    ("model", "used", "loaded"),
    [
        ('{"by": np.ones(2)}', 'self.model["by"]', 'dict(np.load(package.weights("model.npz")))'),
        ("np.ones(2)", "self.model", 'np.load(package.weights("model.npz"))["array"]'),
        ("None", "1", 'json.loads(package.weights("model.json").read_text("utf-8"))'),
    ],
)
def test_how_it_is_loaded(
    here: Workspace, tmp_path: Path, model: str, used: str, loaded: str
) -> None:
    """Each kind of model has the format that fits it; none of them executes anything."""
    imported(original(tmp_path, f"shift({model})", model=used), here)
    code = here.model("shift").directory / "src" / "stevedore_model_shift" / "__init__.py"
    assert f"    model = {loaded}\n" in code.read_text()


def test_another_name(here: Workspace, tmp_path: Path) -> None:
    """The only predictor may get another name."""
    assert imported(original(tmp_path, 'shift({"by": 1}, "My Model")'), here, "mine") == ("mine",)


def test_command(here: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the names, for what tests them next."""
    file = original(tmp_path, 'shift({"by": 1})')
    assert main(["import-model", str(file), "--python", sys.executable]) == 0
    assert capsys.readouterr().out == "shift\n"
    assert here.model("shift").distribution == "stevedore-model-shift"


@pytest.mark.parametrize(
    ("predictors", "where", "reason"),
    [
        ("", "", "expected a list `predictors` that is not empty"),
        ("1", "`predictors`, item 1", "expected a `Predictor`, found `builtins.int`"),
        (
            "shift(object())",
            "`predictors`, item 1",
            (
                "its model is a `builtins.object`, for which there is no format that executes "
                "nothing when it is loaded; keep numpy arrays, JSON or an estimator of "
                "scikit-learn as the model, and make the rest of it in the class"
            ),
        ),
        (
            'shift({"by": 1}, example=[np.ones(1)])',
            "`predictors`, item 1, `predict_example`",
            (
                "is no JSON: Object of type ndarray is not JSON serializable; use lists, numbers "
                "and strings"
            ),
        ),
        (
            'shift({"by": 1}, "My Model")',
            "`predictors`, item 1, `name`",
            (
                "expected a name of lower-case letters, digits and single `-` or `_`, at most 63 "
                "characters, found `My Model`"
            ),
        ),
        (
            'shift({"by": 1}), shift({"by": 2})',
            "`predictors`, item 2, `name`",
            "`shift` is the name of item 1 already",
        ),
        (
            'shift({"by": 1}), shift({"by": 2}, "iris")',
            "`predictors`, item 2, `name`",
            "`iris` is the name of `models/iris` already",
        ),
    ],
)
def test_refusals(
    here: Workspace, tmp_path: Path, predictors: str, where: str, reason: str
) -> None:
    """What cannot be imported is named with its place, and nothing is written."""
    file = original(tmp_path, predictors, model="(self.model if self.model == 1 else 0)")
    assert refused(file, here) == f"{file}: {f'{where}: ' if where else ''}{reason}"


def of_type(file: Path, name: str, module: str) -> None:
    """Give an original a `fitted` object whose type says that it is from a library."""
    made = f"fitted = type({name!r}, (), {{'__module__': {module!r}}})()\n"
    file.write_text(file.read_text().replace("predictors =", f"{made}predictors ="))


def test_a_wrapper_of_lightgbm(here: Workspace, tmp_path: Path) -> None:
    """What has a native form inside is refused with the way to it."""
    file = original(tmp_path, "shift(fitted)", model="1")
    of_type(file, "LGBMClassifier", "lightgbm.sklearn")
    assert "; keep its `booster_` as the model, and make the rest" in refused(file, here)


def test_an_estimator_without_skops(here: Workspace, tmp_path: Path) -> None:
    """An estimator is stored by skops, which has to be there."""
    file = original(tmp_path, "shift(fitted)", model="1")
    of_type(file, "Ridge", "sklearn.linear_model")
    assert refused(file, here) == (
        f"{file}: `predictors`, item 1: its model is a `sklearn.linear_model.Ridge`, which is "
        "stored with skops; install it beside scikit-learn: "
        f"`{sys.executable} -m pip install skops`"
    )


def test_types_that_skops_does_not_trust(here: Workspace, tmp_path: Path) -> None:
    """They are listed, and how to trust them."""
    file = original(tmp_path, "shift(fitted)", model="1")
    of_type(file, "Ridge", "sklearn.linear_model")
    tiny.write(
        file.parent / "skops" / "io.py",
        "def dump(model, file):\n    file.write_text('')\n\n\n"
        "def get_untrusted_types(*, file):\n    return ['numpy.odd']\n",
    )
    assert refused(file, here).endswith(
        "its model holds types that skops does not trust by itself: `numpy.odd`; if you know what "
        'they do, run this again with `TRUST="numpy.odd"`'
    )


def test_a_file_beside_it(here: Workspace, tmp_path: Path) -> None:
    """What no distribution has would not be in an image."""
    file = original(tmp_path, 'shift({"by": 1})', model="beside.BY")
    tiny.write(file.parent / "beside.py", "BY = 1\n")
    file.write_text(f"import beside\n{file.read_text()}")
    assert refused(file, here) == (
        f"{file}: `Shift` imports `beside`, which no installed distribution has; put what it needs "
        "from there into the file itself"
    )


def test_it_cannot_be_run(here: Workspace, tmp_path: Path) -> None:
    """The author's error is shown, and how to name a Python that has what is missing."""
    file = original(tmp_path, 'shift({"by": 1})')
    file.write_text(f"import not_there_at_all\n{file.read_text()}")
    first, *_, last = refused(file, here).splitlines()
    assert first == (
        f"{file}: cannot be run by `{sys.executable}`; name a Python that has what it imports, "
        "with `WITH=path/to/python`; it said:"
    )
    assert last == "ModuleNotFoundError: No module named 'not_there_at_all'"


def test_no_such_python(here: Workspace, tmp_path: Path) -> None:
    """A Python that is not there is named."""
    file = original(tmp_path, 'shift({"by": 1})')
    with pytest.raises(ToolFailed) as caught:
        import_originals(file, python=Path("no-such-python"), workspace=here)
    assert str(caught.value) == "`no-such-python` cannot be started: No such file or directory"


def test_no_such_file(here: Workspace, tmp_path: Path) -> None:
    """A file that is not there is named."""
    assert refused(tmp_path / "none.py", here) == (
        f"`FROM`: expected a file of Python, found no `{tmp_path / 'none.py'}`"
    )


def test_one_name_for_two(here: Workspace, tmp_path: Path) -> None:
    """A new name is for one predictor."""
    file = original(tmp_path, 'shift({"by": 1}), shift({"by": 2}, "two")')
    assert refused(file, here, "mine") == (
        f"`NAME`: {file} has 2 predictors, and each keeps its own name; leave `NAME` out"
    )

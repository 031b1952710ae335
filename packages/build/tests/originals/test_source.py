"""A class is taken from an original `model.py` with what it refers to, and nothing that trains."""

import pytest

from stevedore_build.errors import OriginalRefused
from stevedore_build.originals.source import class_source

ORIGINAL = """\
import json, os
from sklearn.linear_model import Ridge
from numpy import asarray as rows, zeros
from predictor import Predictor

LIMIT, STEP = 3, 1
X = zeros(4)


def shifted(x):
    import scipy.special

    return x + STEP


@staticmethod
def untouched():
    return os


class Base(Predictor):
    def run_predict(self, X):
        return shifted(X)


class Model(Base):
    def convert_prediction_input(self, x):
        return json.loads(json.dumps(rows(x).tolist()))


predictors = [Model(Ridge().fit(X, X), "model", [], {}, [], {})]
"""


def test_what_a_class_consists_of() -> None:
    """Bases, functions and literals go along, in their order; a method's own names are its own."""
    source = class_source(ORIGINAL, "Model", file="model.py")
    assert (
        source.text
        == """\
import json
from numpy import asarray as rows
from stevedore_core.predictor import Predictor


LIMIT, STEP = 3, 1


def shifted(x):
    import scipy.special

    return x + STEP


class Base(Predictor):
    def run_predict(self, X):
        return shifted(X)


class Model(Base):
    def convert_prediction_input(self, x):
        return json.loads(json.dumps(rows(x).tolist()))
"""
    )
    assert source.modules == ("numpy", "scipy")


def test_the_copy_runs() -> None:
    """The copied text is a module of its own."""
    source = class_source(
        ORIGINAL.replace("numpy import asarray", "json import loads"), "Model", file=""
    )
    module: dict[str, type] = {}
    exec(compile(source.text, "original", "exec"), module)  # noqa: S102 - ours
    assert module["Model"].__mro__[1].__name__ == "Base"


def test_decorators_go_along() -> None:
    """A decorated class is copied from its first decorator on."""
    text = "from functools import cache\n\n\n@cache\nclass Model:\n    pass\n"
    source = class_source(text, "Model", file="model.py")
    assert source.text.endswith("\n\n\n@cache\nclass Model:\n    pass\n")


def test_the_original_as_a_module() -> None:
    """`import predictor` becomes ours too."""
    text = "import predictor\n\n\nclass Model(predictor.Predictor):\n    pass\n"
    source = class_source(text, "Model", file="model.py")
    assert source.text.startswith("from stevedore_core import predictor\n")
    assert source.modules == ()


@pytest.mark.parametrize(
    "computed", ["scale = fit(1)", "for scale in (1, 2): pass", "with open('x') as scale: pass"]
)
def test_what_training_leaves_behind(computed: str) -> None:
    """A value that only running the file gives is refused, with its line and the way out."""
    text = f"{computed}\n\n\nclass Model:\n    def run_predict(self, x):\n        return scale\n"
    with pytest.raises(OriginalRefused) as caught:
        class_source(text, "Model", file="model.py")
    assert str(caught.value) == (
        "model.py, line 1: `Model` uses `scale`, which is computed there when the file runs; keep "
        "it in the `model` that is given to the class, or write it as a literal"
    )


def test_no_such_class() -> None:
    """A class that is made in a function cannot be taken out of it."""
    with pytest.raises(OriginalRefused) as caught:
        class_source("def make():\n    class Model:\n        pass\n", "Model", file="model.py")
    assert str(caught.value) == (
        "model.py: expected `class Model` at the top level of the file, found none"
    )

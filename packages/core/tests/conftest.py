"""Fixtures: model packages that are installed for one test, and the test data of others."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

InstallModel = Callable[..., Path]

PREDICTOR = """
from stevedore_core.predictor import Predictor


class Summing(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        return sum(X)

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return 1.0


def load():
    numbers = {"type": "array", "items": {"type": "integer"}}
    return Summing(None, NAME, [1, 2], numbers, [1], numbers, "1.0.0")
"""


@pytest.fixture
def install_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallModel]:
    """Install a distribution that provides the model `name`; return its directory of code.

    Without `source` the model adds integers. `distribution` and `entry` are what they would be in
    a model package, unless given.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    known = set(sys.modules)

    def install(
        name: str, source: str = PREDICTOR, *, distribution: str = "", entry: str = ""
    ) -> Path:
        package = f"stevedore_model_{name}"
        distribution = distribution or package
        (site / package).mkdir(exist_ok=True)
        (site / package / "__init__.py").write_text(source.replace("NAME", repr(name)))
        info = site / f"{distribution.replace('-', '_')}-1.0.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0.0\n"
        (info / "METADATA").write_text(metadata)
        points = f"[ml_py_stevedore.models]\n{name} = {entry or f'{package}:load'}\n"
        (info / "entry_points.txt").write_text(points)
        return site / package

    yield install
    for module in set(sys.modules) - known:
        if module.startswith("stevedore_model_"):
            del sys.modules[module]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The directory that holds the test suites of others."""
    directory = os.environ.get("STEVEDORE_TEST_DATA")
    if not directory:
        pytest.skip("STEVEDORE_TEST_DATA does not say where the test suites of others are")
    return Path(directory)

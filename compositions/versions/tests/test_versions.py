"""What is the composition's own: two versions of a model, and one with an older NumPy.

What every composition promises is tested by `tests/composition`.
"""

from collections.abc import Iterator

import httpx
import pytest
from served import LAYOUT, MODELS, post, ready_client


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the served composition."""
    with ready_client() as client:
        yield client


def test_models_are_those_of_the_manifest() -> None:
    """Both versions of iris are served, the newer one by default."""
    versions = {key: model.version for key, model in MODELS.items()}
    assert versions == {"iris": "1.1.0", "iris@1.0.0": "1.0.0", "wine": "1.0.0"}


def test_the_newer_version_is_surer(client: httpx.Client) -> None:
    """The two versions of iris are two models: the newer one knows its numbers better."""
    labelled = MODELS["iris"].example("score")
    newer = post(client, "/models/iris/score", labelled).json()
    older = post(client, "/models/iris/versions/1.0.0/score", labelled).json()
    assert newer["accuracy"] == older["accuracy"] == {"value": 1.0, "direction": "higher"}
    assert "log_loss" not in older
    assert newer["log_loss"]["value"] == pytest.approx(0.0295, abs=5e-5)


def test_requirements_that_conflict_are_apart() -> None:
    """NumPy is there below 2 for wine and from 2 on for iris, each in its own environment."""
    assert MODELS["iris"].environment != MODELS["iris@1.0.0"].environment
    assert MODELS["wine"].environment != MODELS["iris"].environment
    majors = {
        key: {
            info.name.split("-")[1].split(".")[0]
            for info in (LAYOUT / "environments" / model.environment).glob("numpy-*.dist-info")
        }
        for key, model in MODELS.items()
    }
    assert majors == {"iris": {"2"}, "iris@1.0.0": {"2"}, "wine": {"1"}}

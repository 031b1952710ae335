"""A lock stays quick with many models; three times as long is taken for a busy machine."""

import os
import time
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.workspace import Workspace

SLACK = 3


MANY = pytest.param(
    100,
    10,
    marks=pytest.mark.skipif(
        os.environ.get("STEVEDORE_FAULT_SCALE") != "full", reason="builds 100 wheels beforehand"
    ),
)


@pytest.mark.parametrize(("models", "limit_s"), [(3, 3), MANY])
def test_warm_lock(
    workspace: Workspace, index: Path, monkeypatch: pytest.MonkeyPatch, models: int, limit_s: float
) -> None:
    """With wheels built, 3 models are locked in 3 s and 100 models in 10 s."""
    tiny.write_wheel(index, "numlib")
    names = [f"model{number}" for number in range(models)]
    for name in names:
        tiny.add_model(workspace.root, name, requires=["numlib"])
    pins = "".join(f'{name} = "1.0.0"\n' for name in names)
    tiny.write(
        workspace.root / "compositions/many/composition.toml",
        f'name = "many"\nversion = "1.0.0"\npython = "3.11"\n\n[models]\n{pins}',
    )
    tiny.track(workspace.root)
    monkeypatch.chdir(workspace.root)
    assert main(["lock", "many"]) == 0
    (workspace.composition("many") / "lock.toml").unlink()
    began = time.monotonic()
    assert main(["lock", "many"]) == 0
    assert time.monotonic() - began < limit_s * SLACK
    locked = (workspace.composition("many") / "lock.toml").read_text("utf-8")
    assert locked.count("[[models]]") == models

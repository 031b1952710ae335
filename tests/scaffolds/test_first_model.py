"""From the file of a fitted model to a container that answers, in a fresh clone, as a newcomer.

`nox -s first_model` runs it and prints the seconds. It needs a container engine.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from newcomer import ROOT, ask, await_ready, clone_to, free_port, run

NAME: Final = "first-of-mine"
COMMANDS: Final = (
    "make new-model NAME=first FROM={file}",
    f"make new-composition NAME={NAME} MODELS=first",
    f"make compose NAME={NAME}",
    f"make run NAME={NAME} PORT={{port}}",
)
LIMIT_S: Final = 540
"""Three times what is promised for two quiet cores with a warm cache."""


@pytest.fixture
def engine() -> str:
    """The engine that is to be used."""
    names = os.environ.get("STEVEDORE_ENGINES", "podman").split()
    found = [name for name in names if shutil.which(name)]
    if not found:
        pytest.skip("no container engine is here")
    return found[0]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Clone the repository as it is committed."""
    return clone_to(tmp_path / "stevedore")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a model that was fitted elsewhere."""
    (fitted,) = ROOT.glob("models/iris/src/*/weights/model.skops")
    return Path(shutil.copy(fitted, tmp_path / "fitted.skops"))


@pytest.fixture
def make(clone: Path, engine: str) -> Iterator[Callable[[str], None]]:
    """Run commands in the clone; whatever they start is stopped and removed."""

    def make(command: str) -> None:
        run(*command.split(), cwd=clone, ENGINE=engine, STEVEDORE_ENGINES=engine)

    yield make
    make(f"make stop NAME={NAME}")
    for name in (f"{NAME}:1.0.0", f"localhost/{NAME}:1.0.0"):
        remove = [engine, "rmi", "--force", name]
        subprocess.run(remove, capture_output=True, check=False)


def test_file_to_container(
    make: Callable[[str], None], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four commands lead from the file to a prediction over HTTP, in the time that is promised."""
    port = free_port()
    assert len(COMMANDS) <= 4
    begun = time.monotonic()
    took = []
    for command in COMMANDS:
        before = time.monotonic()
        make(command.format(file=file, port=port))
        took.append(f"{command.split()[1]} {time.monotonic() - before:.0f} s")
    await_ready(port)
    asked = ask(port, "POST", "/models/first/predict", "[[5.1, 3.5, 1.4, 0.2]]")
    assert asked == (200, ["setosa"])
    seconds = time.monotonic() - begun
    with capsys.disabled():
        print(f"\nfrom a file to a container: {seconds:.0f} s ({', '.join(took)})")  # noqa: T201
    assert seconds < LIMIT_S

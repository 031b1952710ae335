"""From the file of a fitted model to a container that answers, in a fresh clone, as a newcomer.

`nox -s first_model` runs it and prints the seconds. It needs a container engine.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
NAME: Final = "first-of-mine"
COMMANDS: Final = (
    "make new-model NAME=first FROM={file}",
    f"make new-composition NAME={NAME} MODELS=first",
    f"make compose NAME={NAME}",
    f"make run NAME={NAME} PORT={{port}}",
)
LIMIT_S: Final = 540
"""Three times what is promised for two quiet cores with a warm cache."""
READY_LIMIT_S: Final = 60


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
    directory = tmp_path / "stevedore"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(directory)], check=True)
    return directory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a model that was fitted elsewhere."""
    (fitted,) = ROOT.glob("models/iris/src/*/weights/model.skops")
    return Path(shutil.copy(fitted, tmp_path / "fitted.skops"))


@pytest.fixture
def make(clone: Path, engine: str) -> Iterator[Callable[[str], None]]:
    """Run commands in the clone; whatever they start is stopped and removed."""
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    variables["ENGINE"] = variables["STEVEDORE_ENGINES"] = engine

    def run(command: str) -> None:
        done = subprocess.run(
            command.split(),
            cwd=clone,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    yield run
    run(f"make stop NAME={NAME}")
    for name in (f"{NAME}:1.0.0", f"localhost/{NAME}:1.0.0"):
        remove = [engine, "rmi", "--force", name]
        subprocess.run(remove, capture_output=True, check=False)


def test_file_to_container(
    make: Callable[[str], None], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four commands lead from the file to a prediction over HTTP, in the time that is promised."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    assert len(COMMANDS) <= 4
    begun = time.monotonic()
    took = []
    for command in COMMANDS:
        before = time.monotonic()
        make(command.format(file=file, port=port))
        took.append(f"{command.split()[1]} {time.monotonic() - before:.0f} s")
    url = f"http://127.0.0.1:{port}/models/first/predict"
    assert ask(url, [[5.1, 3.5, 1.4, 0.2]]) == ["setosa"]
    seconds = time.monotonic() - begun
    with capsys.disabled():
        print(f"\nfrom a file to a container: {seconds:.0f} s ({', '.join(took)})")  # noqa: T201
    assert seconds < LIMIT_S


def ask(url: str, payload: object) -> object:
    """Return a prediction, once the server is ready."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(payload).encode(), headers)  # noqa: S310 - ours
    give_up = time.monotonic() + READY_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
                return json.load(answer)
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)

"""The README's commands, run one after another in a fresh clone, as a newcomer would."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
START_LIMIT_S: Final = 300
PASSED: Final = ROOT / ".stevedore" / "passed"

COMMANDS: Final = [
    line
    for block in re.findall(
        r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone the repository as it is committed."""
    directory = tmp_path_factory.mktemp("newcomer") / "stevedore"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(directory)], check=True)
    return directory


def test_these_are_the_commands() -> None:
    """Each command of the README is run below, except the one that runs this test."""
    curls = [command for command in COMMANDS if command.startswith("curl ")]
    init = "ml-stevedore init --wheels path/to/wheels"  # in tests/ways_in
    assert [command for command in COMMANDS if command not in (*curls, init)] == [
        "make serve",
        "make test",
        "make compose NAME=bundle",
        "make run NAME=bundle",
        "make stop NAME=bundle",
    ]
    assert len(curls) == 2


@pytest.fixture
def served(clone: Path) -> Iterator[None]:
    """Run `make serve` until the test is over."""
    log = clone / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "serve"],
            cwd=clone,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, log)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


@pytest.mark.usefixtures("served")
def test_make_serve_and_ask() -> None:
    """`make serve` serves the bundle, and the commands that ask it print its answers."""
    predict, ready = [command for command in COMMANDS if command.startswith("curl ")]
    assert _printed(predict) == ["setosa"]
    assert _printed(ready) == "READY"


def test_make_compose_run_and_stop(clone: Path) -> None:
    """`make compose` prints the image's reference last; `run` serves it and `stop` ends it.

    What passed in this checkout with the same content counts in the clone: it is not tested twice.
    """
    if not os.environ.get("STEVEDORE_ENGINES"):
        pytest.skip("`STEVEDORE_ENGINES` names no container engine")
    if PASSED.is_dir():
        shutil.copytree(PASSED, clone / PASSED.relative_to(ROOT), dirs_exist_ok=True)
    for engine in os.environ["STEVEDORE_ENGINES"].split():
        variables = {**os.environ, "ENGINE": engine}
        composed = _run("make compose NAME=bundle", clone, variables)
        assert composed.splitlines()[-1].endswith("bundle:1.0.0"), composed
        begun = time.monotonic()
        _run("make compose NAME=bundle", clone, variables)
        assert time.monotonic() - begun < 3 * 5
        _run("make run NAME=bundle", clone, variables)
        try:
            _wait_until_ready()
        finally:
            _run("make stop NAME=bundle", clone, variables)


def test_make_alone_prints_help(clone: Path) -> None:
    """`make` lists every target with a line of help."""
    printed = _run("make", clone, dict(os.environ))
    for target in ("serve", "test", "lock", "compose", "run", "stop", "base", "clean"):
        assert re.search(rf"^  make {target} +\S", printed, flags=re.MULTILINE), printed


def _run(command: str, directory: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(
        command.split(),
        cwd=directory,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _printed(command: str) -> object:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _wait_until_ready(process: subprocess.Popen[bytes] | None = None, log: Path = ROOT) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < START_LIMIT_S:
        if process is not None and process.poll() is not None:
            raise AssertionError(log.read_text())
        connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise AssertionError(f"not ready within {START_LIMIT_S} s")

"""The README's commands, run one after another in a fresh clone, as a newcomer would."""

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Final

import pytest
from newcomer import ROOT, await_ready, clone_to, run, served

PORT: Final = 8000
"""Where the README's commands serve and ask."""
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
    return clone_to(tmp_path_factory.mktemp("newcomer") / "stevedore")


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


def test_make_serve_and_ask(clone: Path) -> None:
    """`make serve` serves the bundle, and the commands that ask it print its answers."""
    predict, ready = [command for command in COMMANDS if command.startswith("curl ")]
    with served("make", "serve", cwd=clone, port=PORT):
        assert json.loads(run("sh", "-c", predict, cwd=clone)) == ["setosa"]
        assert json.loads(run("sh", "-c", ready, cwd=clone)) == "READY"


def test_make_compose_run_and_stop(clone: Path) -> None:
    """`make compose` prints the image's reference last; `run` serves it and `stop` ends it.

    What passed in this checkout with the same content counts in the clone: it is not tested twice.
    """
    if not os.environ.get("STEVEDORE_ENGINES"):
        pytest.skip("`STEVEDORE_ENGINES` names no container engine")
    if PASSED.is_dir():
        shutil.copytree(PASSED, clone / PASSED.relative_to(ROOT), dirs_exist_ok=True)
    for engine in os.environ["STEVEDORE_ENGINES"].split():
        composed = make("compose", clone, ENGINE=engine)
        assert composed.splitlines()[-1].endswith("bundle:1.0.0"), composed
        begun = time.monotonic()
        make("compose", clone, ENGINE=engine)
        assert time.monotonic() - begun < 3 * 5
        make("run", clone, ENGINE=engine)
        try:
            await_ready(PORT)
        finally:
            make("stop", clone, ENGINE=engine)


def test_make_alone_prints_help(clone: Path) -> None:
    """`make` lists every target with a line of help."""
    printed = run("make", cwd=clone)
    for target in ("serve", "test", "lock", "compose", "run", "stop", "base", "clean"):
        assert re.search(rf"^  make {target} +\S", printed, flags=re.MULTILINE), printed


def make(target: str, clone: Path, **variables: str) -> str:
    """Return what a target prints for the bundle."""
    return run("make", target, "NAME=bundle", cwd=clone, **variables)

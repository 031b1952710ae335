"""The files that a forge and git read: they call what is here, and fetch nothing of their own."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from commands_page import commands, sessions

ROOT: Final = Path(__file__).parents[2]
FORMS: Final = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(name: str) -> Any:
    """Return what a YAML file of this repository holds."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_hooks_run_what_is_locked_here() -> None:
    """Each git hook calls a program of `.venv`, with a session or command that exists."""
    hooks = [hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in read(".pre-commit-config.yaml")["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks} == {"system"}
    known = sessions((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    called = {hook["id"]: hook["entry"] for hook in hooks}
    assert called["lint"] == ".venv/bin/nox -s lint"
    assert called["types"] == ".venv/bin/nox -s types"
    assert {"lint", "types"} <= set(known)
    assert "ml-stevedore check " in called["locks"]
    assert "check" in commands()


def test_the_workflow_calls_what_anybody_may_call() -> None:
    """It checks the repository out, with its history, and runs `.ci/run`; nothing else tests."""
    (job,) = read(".github/workflows/test.yml")["jobs"].values()
    (checkout,) = [step for step in job["steps"] if "uses" in step]
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
    assert job["steps"][-1]["run"] == ".ci/run"
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_forms_can_be_read(form: Path) -> None:
    """Each form has a name, and each question of it an id and a label."""
    found = read(str(form.relative_to(ROOT)))
    if form.stem == "config":
        assert set(found) == {"blank_issues_enabled"}
        return
    assert {"name", "description", "body"} <= set(found)
    questions = [part for part in found["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in questions}) == len(questions) > 0
    assert all(part["attributes"]["label"] for part in questions)

"""Programs are run to their end, and what they say is passed on."""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stevedore_build.errors import ToolFailed
from stevedore_build.processes import git, run, uv_program

NAME = Path(sys.executable).name


def python(code: str) -> list[str]:
    """Return a command that runs some Python."""
    return [sys.executable, "-c", code]


def test_answer() -> None:
    """What a program prints is the answer."""
    assert run(python("print('yes')")) == "yes\n"


def test_failure() -> None:
    """What a failing program says is in the error."""
    with pytest.raises(ToolFailed) as caught:
        run(python("import sys; sys.exit('no such thing')"))
    assert str(caught.value) == f"`{NAME}` ended with 1:\nno such thing"


def test_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Of what a program says beside its answer, people see what is asked for."""
    code = "import sys; print('note: a\\nwarning: b', file=sys.stderr); print('yes')"
    assert run(python(code), shown=re.compile("warning: .*")) == "yes\n"
    assert capsys.readouterr().err == "warning: b\n"
    run(python(code))
    assert capsys.readouterr().err == ""


def test_silent_failure() -> None:
    """A program that says nothing is told as such."""
    with pytest.raises(ToolFailed) as caught:
        run(python("raise SystemExit(3)"))
    assert str(caught.value) == f"`{NAME}` ended with 3:\nit said nothing"


def test_accepted() -> None:
    """Some programs end with 1 although all is well."""
    assert run(python("raise SystemExit(1)"), accepted={0, 1}) == ""


def test_absent(tmp_path: Path) -> None:
    """A program that is not there is named."""
    with pytest.raises(ToolFailed) as caught:
        run([str(tmp_path / "absent")])
    assert str(caught.value) == "`absent` cannot be started: No such file or directory"


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git there are no tracked files."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolFailed) as caught:
        git("ls-files", cwd=tmp_path)
    assert str(caught.value) == (
        "`git` is not installed; packages are built from the files it tracks"
    )


def test_uv_in_threads() -> None:
    """Uv is found from several threads at once."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor as P;"
        "from stevedore_build.processes import uv_program as u;"
        "print(len({f.result() for f in [P(8).submit(u) for _ in range(8)]}))"
    )
    assert run(python(code), env=os.environ) == "1\n"
    with ThreadPoolExecutor() as pool:
        assert set(pool.map(lambda _: uv_program(), range(8))) == {uv_program()}

"""A real shell is asked what it offers."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stevedore_build.cli.completion import SHELLS, shell_script
from stevedore_build.workspace import Workspace

_ASK = """
eval "$(ml-stevedore completion bash)"
COMP_LINE={line} COMP_POINT={point} COMP_TYPE=9
COMP_WORDS=({line_words}) COMP_CWORD={word}
_python_argcomplete ml-stevedore "${{COMP_WORDS[COMP_CWORD]}}" ml-stevedore
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A `PATH` on which the program is."""
    file = tmp_path / "bin" / "ml-stevedore"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m stevedore_build "$@"\n')
    file.chmod(0o755)
    return f"{file.parent}:{os.environ['PATH']}"


def offered(line: str, place: Path, path: str) -> set[str]:
    """Return what bash offers after a line and Tab."""
    words = [*line.split(), ""] if line.endswith(" ") else line.split()
    script = _ASK.format(
        line=shlex.quote(line),
        point=len(line),
        line_words=" ".join(map(shlex.quote, words)),
        word=len(words) - 1,
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return {word.strip() for word in done.stdout.splitlines()} - {""}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ml-stevedore doc", {"doctor"}),
        ("ml-stevedore lock ", {"pair"}),
        ("ml-stevedore lock --up", {"--upgrade"}),
        ("ml-stevedore serve --model i", {"iris"}),
        ("ml-stevedore run pair --engine p", {"podman"}),
        ("ml-stevedore completion ", set(SHELLS)),
        ("ml-stevedore lock pai-", set()),
    ],
)
def test_bash(workspace: Workspace, program: str, line: str, expected: set[str]) -> None:
    """Commands, options and names of the workspace are offered."""
    found = offered(line, workspace.root, program)
    assert expected <= found
    assert {word for word in found - expected if not word.startswith("-")} == set()


def test_outside_of_a_workspace(tmp_path: Path, program: str) -> None:
    """Commands are offered everywhere, names only where there are some."""
    assert offered("ml-stevedore doc", tmp_path, program) == {"doctor"}
    assert not offered("ml-stevedore test-model x", tmp_path, program)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_takes_its_script(shell: str, tmp_path: Path) -> None:
    """Each shell that is here reads the script without an error."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"`{shell}` is not installed")
    script = tmp_path / "script"
    script.write_text(shell_script(shell))
    done = subprocess.run([program, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_zsh(workspace: Workspace, program: str) -> None:
    """The same function answers in zsh, where `compinit` has been run."""
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("`zsh` is not installed")
    script = """
    autoload -Uz compinit && compinit -u -D
    _describe() { print -l -- "${(P@)2%%:*}" }
    eval "$(ml-stevedore completion zsh)"
    words=(ml-stevedore lock p) CURRENT=3 BUFFER="ml-stevedore lock p" CURSOR=19
    service=ml-stevedore
    _python_argcomplete
    """
    done = subprocess.run(
        [zsh, "-f", "-c", script],
        cwd=workspace.root,
        env={**os.environ, "PATH": program},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.replace(":", "").split() == ["pair"], done

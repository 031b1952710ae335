"""What people see."""

import pytest

from stevedore_build.console import notice, step


def test_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, what begins is said once, and nothing goes to standard output."""
    with step("Installing `a[b]`"):
        pass
    assert capsys.readouterr() == ("", "Installing `a[b]` …\n")


def test_notice(capsys: pytest.CaptureFixture[str]) -> None:
    """A notice is printed as it is, however long."""
    notice("[red]" + "x" * 300)
    assert capsys.readouterr() == ("", "[red]" + "x" * 300 + "\n")

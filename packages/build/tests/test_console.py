"""What people see."""

import io
import sys

import pytest

from stevedore_build.console import notice, step, transfer


class Terminal(io.StringIO):
    """Standard error as a terminal, which keeps what it was sent."""

    def isatty(self) -> bool:
        """Say that people look at it."""
        return True


def test_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, what begins is said once, and nothing goes to standard output."""
    with step("Installing `a[b]`"):
        pass
    assert capsys.readouterr() == ("", "Installing `a[b]` …\n")


def test_notice(capsys: pytest.CaptureFixture[str]) -> None:
    """A notice is printed as it is, however long."""
    notice("[red]" + "x" * 300)
    assert capsys.readouterr() == ("", "[red]" + "x" * 300 + "\n")


def test_transfer(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal the beginning and the end are told, however much is shown between."""
    with transfer("Fetching `a[b]`", 100) as show:
        show(50)
    assert capsys.readouterr() == ("", "Fetching `a[b]` …\nFetching `a[b]`: 0.0 s\n")


def test_transfer_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar says how much has arrived, and is gone in the end."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    with transfer("Fetching `a[b]`", 100) as show:
        show(50)
    assert "Fetching `a[b]` " in terminal.getvalue()
    assert "50/100 bytes" in terminal.getvalue()
    assert terminal.getvalue().endswith("Fetching `a[b]`: 0.0 s\n")

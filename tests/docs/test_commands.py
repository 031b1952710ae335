"""`docs/commands.md`, held against the Makefile, the noxfile and the parser of `ml-stevedore`."""

import ast

import pytest
from commands_page import DOCUMENT, ROOT, commands, knobs, page, sessions, targets


@pytest.fixture(autouse=True)
def _no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where these are set they are defaults of options."""
    monkeypatch.delenv("ARCH", raising=False)
    monkeypatch.delenv("ENGINE", raising=False)


def test_the_page_is_what_the_code_says() -> None:
    """Nothing is missing, stale or written by hand; `nox -s docs -- --write` renews it."""
    assert DOCUMENT.read_text(encoding="utf-8") == page()


MAKEFILE = """\
NAME ?= bundle
UPGRADE ?=
export ENGINE
COMPILE = uv pip compile \\
	$(if $(UPGRADE),--upgrade)

.PHONY: help
help: ## Print this
	@echo "$(NAME) $(ENGINE)"

.PHONY: lock
lock: tools ## Resolve
	@ml-stevedore lock "$(NAME)" $(if $(JSON),--json)
	@$(COMPILE) in
"""


def test_targets_and_knobs_are_read() -> None:
    """A target's line of help; a knob's default and users, through variables too."""
    assert targets(MAKEFILE) == {"help": "Print this", "lock": "Resolve"}
    assert knobs(MAKEFILE + "ENGINE ?=\n") == {
        "NAME": ("bundle", ["lock"]),
        "UPGRADE": ("", ["lock"]),
        "ENGINE": ("", ["all"]),
        "JSON": ("", ["lock"]),
    }


def test_sessions_are_read() -> None:
    """Functions that nox is told of, each by the first line of its docstring."""
    noxfile = (
        '@nox.session(python="3.11")\ndef lint(s):\n    """Check.\n\n    More."""\ndef no(): ...\n'
    )
    assert sessions(noxfile) == {"lint": "Check."}


def alone(noxfile: str) -> list[str]:
    """Return the sessions with a tag, so that `make test-all` runs them, that run by themselves."""
    return [
        function.name
        for function in ast.parse(noxfile).body
        if isinstance(function, ast.FunctionDef)
        for mark in map(ast.unparse, function.decorator_list)
        if "tags=" in mark and "allow_parallel=True" not in mark
    ]


def test_only_what_watches_the_clock_runs_alone() -> None:
    """Of two processors one would idle meanwhile; whatever else is run has one beside it."""
    assert alone((ROOT / "noxfile.py").read_text(encoding="utf-8")) == ["test_clock"]


def test_every_command_and_option_has_a_word_of_help() -> None:
    """What `--help` prints leaves nothing unexplained."""
    for name, (title, parser) in commands().items():
        assert title, name
        for action in parser._actions:  # noqa: SLF001  # argparse has no public way
            assert action.help, f"{name}: {action.dest}"

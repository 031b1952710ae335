"""Whatever a document shows in a fenced block: Python runs, data parses, commands exist."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
from snippets import (
    PROGRAMS,
    SHELLS,
    UNCHECKED,
    Snippet,
    check_data,
    commands_in,
    find_snippets,
    run_python,
    wrong_with,
)

from stevedore_core.errors import BodyNotJson, DocumentInvalid

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ("toml", "json", "yaml")
PLACES: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/*.md",
    ":(glob)packages/*/README.md",
)
DOCUMENTS: Final = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", *PLACES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
)
RUN_ELSEWHERE: Final = {
    "README.md": "tests/docs/test_readme.py",
    "docs/tutorial.md": "tests/ways_in/test_tutorial.py",
}
"""Documents whose commands a test of their own runs, one after another."""

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


def snippets_of(document: Path, *languages: str) -> list[Snippet]:
    """Return the blocks of a document that are of these languages."""
    found = find_snippets(document.read_text(encoding="utf-8"))
    return [snippet for snippet in found if snippet.language in languages]


@each_document
def test_python_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document's Python runs from top to bottom, but for what says why it does not."""
    monkeypatch.chdir(tmp_path)
    run_python([s for s in snippets_of(document, "python") if s.reason is None], document)


@each_document
def test_python_that_is_not_run_is_python(document: Path) -> None:
    """What is not run has no mistake of grammar."""
    for snippet in snippets_of(document, "python"):
        compile(snippet.text, f"{document}:{snippet.line}", "exec")


@each_document
def test_data_can_be_read(document: Path) -> None:
    """TOML, JSON and YAML parse, and manifests are manifests."""
    for snippet in snippets_of(document, *DATA):
        check_data(snippet)


@each_document
def test_commands_exist(document: Path) -> None:
    """Targets, knobs, sessions, commands and options are there."""
    wrong = [
        f"line {snippet.line}: `{' '.join(words)}`: {found}"
        for snippet in snippets_of(document, *SHELLS)
        for words in commands_in(snippet)
        if (found := wrong_with(words, ROOT))
    ]
    assert wrong == []


@each_document
def test_commands_are_run_or_say_why_not(document: Path) -> None:
    """A block of commands is run by a test, or a comment above it gives the reason."""
    name = str(document.relative_to(ROOT))
    if name in RUN_ELSEWHERE:
        assert (ROOT / RUN_ELSEWHERE[name]).is_file()
        return
    unexplained = [s.line for s in snippets_of(document, *SHELLS) if s.reason is None]
    assert unexplained == []


@each_document
def test_no_kind_of_block_is_unknown(document: Path) -> None:
    """A block says what it holds, in a word that is checked here or by the site's build."""
    found = {s.language for s in find_snippets(document.read_text(encoding="utf-8"))}
    assert found - {*DATA, *SHELLS, *UNCHECKED, "python"} == set()


@each_document
def test_commands_are_marked_as_such(document: Path) -> None:
    """A block that does not say what it holds holds no commands, which nobody would check."""
    begun = [s.text.split(maxsplit=1)[0] for s in snippets_of(document, "") if s.text.strip()]
    assert {Path(word).name for word in begun} & {*PROGRAMS, "make", "ml-stevedore", "nox"} == set()


SHOWN: Final = """\
# Shown

```python
number = 1
```

<!-- not run: it divides by nothing -->
```python
number / 0
```

```python
assert number == 2
```

* in a list

  ```sh
  make serve NAME=bundle  # the server
  ```
"""


def test_blocks_are_found_with_their_lines_and_reasons() -> None:
    """Language, first line and reason are read, within lists too."""
    found = [(s.language, s.line, s.reason) for s in find_snippets(SHOWN)]
    assert found == [
        ("python", 4, None),
        ("python", 9, "it divides by nothing"),
        ("python", 13, None),
        ("sh", 19, None),
    ]


def test_python_that_fails_is_seen() -> None:
    """A failure carries the document's line; names are shared between blocks."""
    snippets = [s for s in find_snippets(SHOWN) if s.language == "python" and s.reason is None]
    with pytest.raises(AssertionError) as failed:
        run_python(snippets, Path("shown.md"))
    assert failed.traceback[-1].lineno == 12
    assert str(failed.traceback[-1].path).endswith("shown.md")


def test_a_comment_without_a_reason_excuses_nothing() -> None:
    """`not run` alone is not enough."""
    (snippet,) = find_snippets("<!-- not run: -->\n```sh\nmake serve\n```\n")
    assert snippet.reason is None


@pytest.mark.parametrize(
    ("language", "text", "error"),
    [
        ("toml", 'name = "shop"\n[models]\niris = "1"\n', DocumentInvalid),
        ("json", '{"a": 1, "a": 2}', BodyNotJson),
        ("yaml", "a: [", Exception),
    ],
)
def test_data_that_is_wrong_is_seen(language: str, text: str, error: type[Exception]) -> None:
    """A manifest that is none, a key twice, an open bracket."""
    with pytest.raises(error):
        check_data(Snippet(language=language, text=text, line=1, reason=None))


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("make serve NAME=bundle", None),
        ("make affected SINCE=main JSON=1", None),
        ("make sevre", "there is no target `sevre`"),
        ("make serve NMAE=bundle", "no target looks at `NMAE`"),
        ('.venv/bin/nox -s "test_model(iris)" -- -k known', None),
        ("nox -s tset_model", "there is no session `tset_model`"),
        (".venv/bin/ml-stevedore lock bundle --upgrade", None),
        ("ml-stevedore lokc bundle", "there is no command `lokc`"),
        ("ml-stevedore lock bundle --upgrde", "`lock` does not take `--upgrde`"),
        ("ml-stevedore lock", "`lock` lacks an argument"),
        (
            "ml-stevedore image bundle --arch vax",
            "`image`: argument --arch: invalid choice: 'vax' (choose from 'amd64', 'arm64')",
        ),
        ("rsync here there", "`rsync` is not a program that documents may call"),
    ],
)
def test_commands_that_are_wrong_are_seen(command: str, wrong: str | None) -> None:
    """Each kind of mistake has its sentence."""
    (words,) = commands_in(Snippet(language="sh", text=command, line=1, reason=None))
    assert wrong_with(words, ROOT) == wrong


def test_the_shell_refuses_what_it_cannot_read() -> None:
    """A quote that is not closed is a mistake of grammar."""
    with pytest.raises(subprocess.CalledProcessError):
        list(commands_in(Snippet(language="sh", text="echo 'open", line=1, reason=None)))


def test_reasons_are_in_documents() -> None:
    """The marker is used as it is described: something finds it."""
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    marked = sum(len(re.findall(r"^<!-- not run: ", text, flags=re.MULTILINE)) for text in texts)
    found = sum(s.reason is not None for text in texts for s in find_snippets(text))
    assert found == marked > 0

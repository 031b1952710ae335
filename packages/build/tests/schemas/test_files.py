"""Schema files of a model written from its types, in a tiny repository with our core."""

import json
import re
import shutil
from pathlib import Path

import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.schemas.files import text_of
from stevedore_build.workspace import Workspace
from stevedore_core.strict_json import Json

ADDER = Path("models/adder/src/stevedore_model_adder")
PREDICT = ADDER / "predict.schema.json"
PAYLOADS = '''
"""What callers send to `adder`."""
from typing import Annotated
from msgspec import Meta
from stevedore_core.arrays import array

print("said while it is imported")

PredictPayload = Annotated[
    list[float], array(shape=("n",), dtype="float64", minimum=0), Meta(title="Summands")
]
'''
DRAFT = '"https://json-schema.org/draft/2020-12/schema"'
WRITTEN = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Summands",
  "type": "array",
  "minItems": 1,
  "items": {"type": "number", "minimum": 0}
}
"""


@pytest.fixture
def adder(adder_repository: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The repository with `adder` as it is at first, but for the type it declares."""
    root = adder_repository.root
    shutil.rmtree(root / "models/adder")
    tiny.add_adder(root)
    tiny.write(root / PREDICT, '{"type": "array", "items": {"type": "number"}}')
    declare(adder_repository, PAYLOADS)
    monkeypatch.chdir(root)
    return adder_repository


def declare(workspace: Workspace, text: str) -> None:
    """Write the module that declares types."""
    tiny.write(workspace.root / ADDER / "payloads.py", text)
    tiny.track(workspace.root)


def said(capsys: pytest.CaptureFixture[str], path: Path = PREDICT) -> tuple[str, str]:
    """Return what went to standard output, and what to standard error about a file."""
    out, err = capsys.readouterr()
    lines = err.splitlines()
    about = [number for number, line in enumerate(lines) if f"`{path}`" in line]
    return out, "\n".join(lines[about[0] :]) if about else err


def test_file_is_written(adder: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """What changes is said, with the part of the version that it asks for; then all is well."""
    assert main(["schemas", "adder"]) == 0
    assert said(capsys) == (
        f"{PREDICT}\n",
        (
            f"`{PREDICT}` changed:\n"
            f"  `/$schema`: `nothing` became `{DRAFT}` (major)\n"
            "  `/items/minimum`: `nothing` became `0` (major)\n"
            "  `/minItems`: `nothing` became `1` (major)\n"
            '  `/title`: `nothing` became `"Summands"` (patch)'
        ),
    )
    assert (adder.root / PREDICT).read_text() == WRITTEN
    assert main(["schemas", "adder"]) == 0
    assert said(capsys) == ("", f"`{PREDICT}` says what its type gives")
    assert main(["schemas", "adder", "--check"]) == 0


def test_layout_of_a_file_is_its_own(adder: Workspace) -> None:
    """A file that says the same in another way is left as it is."""
    other = json.dumps(json.loads(WRITTEN), sort_keys=True)
    (adder.root / PREDICT).write_text(other)
    assert main(["schemas", "adder"]) == 0
    assert (adder.root / PREDICT).read_text() == other


def test_check_writes_nothing(adder: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A stale file fails the check and stays, with the command that writes it."""
    assert main(["schemas", "adder"]) == 0
    declare(adder, PAYLOADS.replace("minimum=0", "minimum=-1"))
    capsys.readouterr()
    assert main(["schemas", "adder", "--check"]) == 1
    assert said(capsys) == (
        "",
        (
            f"error: `{PREDICT}` is not what its type gives:\n"
            "  `/items/minimum`: `0` became `-1` (minor)\n"
            "run `make schemas NAME=adder`"
        ),
    )
    assert (adder.root / PREDICT).read_text() == WRITTEN


@pytest.mark.parametrize("found", [None, "{"])
def test_new_file(adder: Workspace, capsys: pytest.CaptureFixture[str], found: str | None) -> None:
    """The first file needs no other, and one that cannot be read is none."""
    file = adder.root / PREDICT
    file.unlink() if found is None else file.write_text(found)
    tiny.track(adder.root)
    assert main(["schemas", "adder", "--check"]) == 1
    assert said(capsys) == (
        "",
        f"error: `{PREDICT}` is no JSON file yet\nrun `make schemas NAME=adder`",
    )
    assert main(["schemas", "adder"]) == 0
    assert said(capsys) == (f"{PREDICT}\n", f"`{PREDICT}` is new; `git add` it")
    assert file.read_text() == WRITTEN


def test_both_files(adder: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A type of labelled examples has a file of its own."""
    declare(adder, PAYLOADS + "ScorePayload = PredictPayload\n")
    assert main(["schemas", "adder"]) == 0
    assert capsys.readouterr().out == f"{PREDICT}\n{ADDER / 'score.schema.json'}\n"
    assert (adder.root / ADDER / "score.schema.json").read_text() == WRITTEN


def test_type_without_a_schema(adder: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """The field is named, and nothing is written."""
    before = (adder.root / PREDICT).read_bytes()
    declare(
        adder,
        "import datetime\nfrom typing import TypedDict\n"
        "class Row(TypedDict):\n    since: datetime.date\n"
        "PredictPayload = list[Row]\n",
    )
    assert main(["schemas", "adder"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: model `adder`: `stevedore_model_adder.payloads` declares what has no JSON Schema: "
        "`Row.since`: `date`: JSON has text there, of any form; use `str`, with a `pattern` for "
        "the form"
    )
    assert (adder.root / PREDICT).read_bytes() == before


def test_no_types(adder: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A model whose schemas are written by hand has nothing to write."""
    (adder.root / ADDER / "payloads.py").unlink()
    tiny.track(adder.root)
    assert main(["schemas", "adder"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: model `adder` declares no types: expected `PredictPayload` or `ScorePayload` in "
        f"`{ADDER / 'payloads.py'}`, found no such file among those that git tracks"
    )


def test_files_that_do_not_fit_yet(adder: Workspace) -> None:
    """Examples, weights and the other schema may be missing or wrong while a type is changed."""
    for file in ("score.schema.json", "weights/weights.toml"):
        (adder.root / ADDER / file).unlink()
    tiny.write(adder.root / ADDER / "examples/predict.json", '["of another type"]')
    tiny.track(adder.root)
    assert main(["schemas", "adder"]) == 0
    assert (adder.root / PREDICT).read_text() == WRITTEN


def test_project_that_is_none(adder: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in the project is told as where its wheel is built."""
    project = adder.root / "models/adder/pyproject.toml"
    project.write_text(project.read_text().replace("requires-python", "require-python"))
    assert main(["schemas", "adder"]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"error: {project.parent}: pyproject.toml: ")
    assert "`requires-python`" in told


def test_package_that_ends_the_process(
    adder: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it said is passed on."""
    declare(adder, "import os, sys\nsys.stderr.write('no more')\nsys.stderr.flush()\nos._exit(3)\n")
    assert main(["schemas", "adder"]) == 1
    told, cause = capsys.readouterr().err.splitlines()[-2:]
    assert re.fullmatch(r"error: `python[0-9.]*` ended with 3:", told)
    assert cause == "no more"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (True, "true\n"),
        ({}, "{}\n"),
        ({"type": "array"}, '{\n  "type": "array"\n}\n'),
        (
            {"required": ["a", "b"], "properties": {"a": {"enum": [1, "é"]}, "b": {}}},
            (
                '{\n  "required": ["a", "b"],\n  "properties": {\n    "a": {"enum": [1, "é"]},\n'
                '    "b": {}\n  }\n}\n'
            ),
        ),
        (
            {"enum": ["x" * 30, "y" * 30, "z" * 30]},
            '{\n  "enum": [\n    "'
            + "x" * 30
            + '",\n    "'
            + "y" * 30
            + '",\n    "'
            + "z" * 30
            + '"\n  ]\n}\n',
        ),
        ({"anyOf": [{"type": "null"}]}, '{\n  "anyOf": [\n    {"type": "null"}\n  ]\n}\n'),
    ],
)
def test_text(document: Json, text: str) -> None:
    """What is short and holds no object is one line; no line is longer than ours are."""
    assert text_of(document) == text
    assert json.loads(text) == document


def test_longest_line() -> None:
    """A line with its comma ends at the hundredth column, or it is broken."""
    for length in range(70, 100):
        text = text_of({"enum": ["x" * length, ""], "type": "string"})
        lines = text.splitlines()
        is_one = len(f'  "enum": ["{"x" * length}", ""],') <= 100
        assert (len(lines) == 4) == is_one, text

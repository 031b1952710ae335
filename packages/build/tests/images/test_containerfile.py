"""No value becomes an instruction: what cannot be written safely is refused."""

import json
from dataclasses import replace

import pytest

from stevedore_build.errors import ContainerfileRefused
from stevedore_build.images.containerfile import Containerfile

BASE = "sha256:" + "a" * 64

CLEAN = Containerfile(
    base=BASE,
    tars=("one.tar", "two.tar"),
    environment=(("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8")),
    labels=(("org.opencontainers.image.title", "bundle"), ("ml-py-stevedore.models", "a=1,b=2")),
    user="65532:65532",
    port=8000,
    probe=("python3.11", "-m", "stevedore_api.probe"),
    command=("python3.11", "-m", "stevedore_api"),
)

HOSTILE = [
    "",
    "x\nRUN touch /canary",
    "x\r\nRUN touch /canary",
    "x\n",
    "x\\",
    "x\\\nRUN touch /canary",
    "$(touch /canary)",
    "`touch /canary`",
    "x; touch /canary",
    "x && touch /canary",
    "x | tee /canary",
    "${PATH}",
    "$PATH",
    "{{.Id}}",
    'x" RUN="touch /canary',
    "x' 'y",
    '["sh", "-c", "touch /canary"]',
    "x\0y",
    "x\x1b[31my",
    "x\ty",
    "x\u2028y",
    "\N{FULLWIDTH LATIN SMALL LETTER X}",
    "<<EOF",
    "# escape=`",
    "!canary",
]


def fields_with(hostile: str) -> list[Containerfile | str]:
    """Return, for every field that takes text, the refusal of `hostile` in it."""
    changes: list[dict[str, object]] = [
        {"base": hostile},
        {"tars": ("one.tar", hostile)},
        {"environment": ((hostile, "x"),)},
        {"environment": (("X", hostile),)},
        {"labels": ((hostile, "x"),)},
        {"labels": (("x", hostile),)},
        {"user": hostile},
        {"probe": ("python3.11", hostile)},
        {"command": (hostile,)},
    ]
    answers: list[Containerfile | str] = []
    for change in changes:
        try:
            answers.append(replace(CLEAN, **change))  # type: ignore[arg-type] # one type per field
        except ContainerfileRefused as refused:
            answers.append(str(refused))
    return answers


def parse(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Containerfile in which no line goes on in the next."""
    assert not any(line.endswith(("\\", "`")) for line in text.splitlines())
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines()]


def test_text() -> None:
    """The file reads: base, layers, variables, labels, then how it starts."""
    times = "--interval=10s --timeout=5s --start-period=60s --retries=3"
    assert parse(CLEAN.text()) == [
        ("FROM", BASE),
        ("ADD", "one.tar /"),
        ("ADD", "two.tar /"),
        ("ENV", 'PATH="/usr/bin:/bin" LANG="C.UTF-8"'),
        (
            "LABEL",
            'org.opencontainers.image.title="bundle" ml-py-stevedore.models="a=1,b=2"',
        ),
        ("EXPOSE", "8000"),
        ("USER", "65532:65532"),
        ("HEALTHCHECK", f'{times} CMD ["python3.11", "-m", "stevedore_api.probe"]'),
        ("CMD", '["python3.11", "-m", "stevedore_api"]'),
    ]


@pytest.mark.parametrize("hostile", HOSTILE, ids=[json.dumps(text) for text in HOSTILE])
def test_hostile_text_is_refused(hostile: str) -> None:
    """Every field refuses it, by the field's name."""
    answers = fields_with(hostile)
    assert [answer for answer in answers if not isinstance(answer, str)] == []
    assert all(repr(hostile) in answer for answer in answers if isinstance(answer, str))


def test_all_refusals_are_listed() -> None:
    """One message names every field, item and grammar, so that one look is enough."""
    with pytest.raises(ContainerfileRefused) as refused:
        replace(CLEAN, tars=("one.tar", "../two.tar"), user="root", port=0)
    assert str(refused.value) == (
        "no Containerfile can be written: "
        "`tars`, item 2: '../two.tar' does not fit `[a-z0-9][a-z0-9._-]*\\.tar`; "
        "`user`, item 1: 'root' does not fit `[0-9]{1,10}:[0-9]{1,10}`; "
        "`port`: expected 1 to 65535, found 0"
    )


@pytest.mark.parametrize(
    "base", [BASE, "bundle", "localhost/bundle:1.0.0", "host.example:5000/a/b:c@" + BASE]
)
def test_bases(base: str) -> None:
    """A base is an id or an ordinary reference."""
    assert parse(replace(CLEAN, base=base).text())[0] == ("FROM", base)

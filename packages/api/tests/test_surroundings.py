"""Variables of the environment in which a server is started: none of them changes an answer."""

from collections.abc import Callable
from pathlib import Path

import pytest
from served_layout import Model, obedient, start_server, write_layout

PAYLOAD = {"do": "echo", "value": ["naïve", "日本語", "\U0001f600", 1.5, "İ", 0.1]}

ENVIRONS: dict[str, dict[str, str]] = {
    "nothing set": {},
    "Python's UTF-8 off": {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    "unknown locale": {"LANG": "xx_YY.KOI8-R", "LC_ALL": "xx_YY.KOI8-R"},
    "no home, no zone": {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "TZ": "Nowhere/Else"},
    "LANG=C": {"LANG": "C", "LC_ALL": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "comma for the point": {"LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"},
    "ASCII output": {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    "unknown time zone": {"TZ": "Nowhere/Else"},
    "far time zone": {"TZ": "Pacific/Kiritimati"},
    "no home": {"HOME": "/nonexistent"},
}

NOTED = """
import sys


class Noting(Obedient):
    def run_predict(self, X):
        print("notes ünïcödé", flush=True)
        return [super().run_predict(X), "ünïcödé", sys.getfilesystemencoding(), sys.flags.utf8_mode]


def load():
    return Noting(None, NAME, EXAMPLE, ANY, [1, 2], {"type": "array"}, "1.0.0")
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout of a model that speaks and prints more than ASCII."""
    source = obedient("one") + NOTED.replace("NAME", "'one'")
    root = tmp_path_factory.mktemp("surroundings") / "layout"
    return write_layout(root, "all", {"one": Model(source=source)})


def answer_in(layout: Path, log: Path, environ: dict[str, str]) -> bytes:
    """Return what a server that was started so answers, from first to last byte of the body."""
    server = start_server(layout, log, {}, environ)
    try:
        server.wait_until("/readyz")
        answer = server.post("/models/one/predict", PAYLOAD)
        assert "notes ünïcödé" in server.errors.read_text("utf-8")
        assert server.lines()
        return b"%d %b" % (answer.status_code, answer.content)
    finally:
        server.clean_up()


@pytest.mark.fault("F4")
def test_answers_are_the_same_in_any_surroundings(
    layout: Path, tmp_path: Path, figure: Callable[[str], None], scale: Callable[[int, int], int]
) -> None:
    """Locale, encoding, time zone and home of the process change no byte of an answer."""
    environs = list(ENVIRONS.values())[: scale(4, len(ENVIRONS))]
    answers = {
        answer_in(layout, tmp_path / f"{number}.log", environ)
        for number, environ in enumerate(environs)
    }
    (answer,) = answers
    assert answer.startswith(b"200 ")
    assert "日本語".encode() in answer
    figure(f"1 answer in {len(environs)} environments")


@pytest.mark.control("F4")
def test_an_answer_that_depends_on_the_surroundings_is_seen(tmp_path: Path) -> None:
    """A model that answers by its time zone has two answers."""
    source = obedient("one") + NOTED.replace("NAME", "'one'").replace("sys.flags.utf8_mode", "ZONE")
    root = tmp_path / "layout"
    source = f"import os\nZONE = os.environ.get('TZ')\n{source}"
    layout = write_layout(root, "all", {"one": Model(source=source)})
    answers = {
        answer_in(layout, tmp_path / f"{name}.log", {"TZ": name}) for name in ("UTC", "EST5EDT")
    }
    assert len(answers) == 2

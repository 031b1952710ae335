"""What a manifest may say."""

import hashlib
from pathlib import Path

import pytest

from stevedore_core.errors import DocumentInvalid
from stevedore_core.manifest import Manifest, ModelPin

TEXT = """\
name = "bundle"
version = "1.0.0"
python = "3.11"
environments = "each"

[models]
iris = ["1.0.0", "1.1.0"]
tulip = { version = ["2.0.0", "1.0.0"], workers = 3 }
digits = { version = "1.2.0", environment = "onnx", deadline_s = 5, workers = 2 }
wine = { version = "1.0.0", min_score = { accuracy = 0.9, loss = 1 }, gate = "readiness" }

[serve]
readiness = "any"
workers = "auto"
max_queued = 16
drain_delay_s = 0

[image]
base = "python:3.11-slim-bookworm"

[wheels]
index = "https://wheels.example:8080/models/simple"
"""


def refusal(text: str) -> str:
    """Return what is said of a manifest that is refused."""
    with pytest.raises(DocumentInvalid) as caught:
        Manifest.from_text(text, file="composition.toml")
    return str(caught.value)


def test_full(tmp_path: Path) -> None:
    """Everything a manifest can say is read, and its text is kept for the digest."""
    file = tmp_path / "composition.toml"
    file.write_text(TEXT)
    manifest = Manifest.parse(file)
    assert manifest == Manifest(
        name="bundle",
        version="1.0.0",
        python="3.11",
        models=(
            ModelPin(name="iris", version="1.0.0"),
            ModelPin(name="iris", version="1.1.0"),
            ModelPin(name="tulip", version="2.0.0", settings={"workers": 3}),
            ModelPin(name="tulip", version="1.0.0", settings={"workers": 3}),
            ModelPin(
                name="digits",
                version="1.2.0",
                environment="onnx",
                settings={"deadline_s": 5.0, "workers": 2},
            ),
            ModelPin(
                name="wine",
                version="1.0.0",
                min_score={"accuracy": 0.9, "loss": 1.0},
                gate="readiness",
            ),
        ),
        environments="each",
        readiness="any",
        settings={"workers": "auto", "max_queued": 16, "drain_delay_s": 0.0},
        base="python:3.11-slim-bookworm",
        index="https://wheels.example:8080/models/simple",
        text=TEXT,
    )
    assert manifest.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_of_model() -> None:
    """A model alone has the shortest manifest, in which all else is the default."""
    manifest = Manifest.of_model("iris", version="1.0.0", python="3.11")
    assert manifest.models == (ModelPin(name="iris", version="1.0.0"),)
    assert (manifest.name, manifest.readiness, manifest.base) == ("iris", "all", None)
    assert manifest.environments == "few"


def test_absent_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    file = tmp_path / "composition.toml"
    with pytest.raises(DocumentInvalid) as caught:
        Manifest.parse(file)
    assert str(caught.value) == (
        f"{file}: cannot be read: [Errno 2] No such file or directory: '{file}'"
    )


def test_not_toml() -> None:
    """A syntax error is told with its place."""
    assert refusal("name =") == "composition.toml: not TOML: Invalid value (at end of document)"


def test_no_models() -> None:
    """A composition without models serves nothing and is a mistake."""
    head = TEXT.split("[models]", maxsplit=1)[0]
    assert refusal(head + "[models]\n") == (
        'composition.toml: `models`: names no model; write one as `iris = "1.0.0"`'
    )


def test_everything_wrong() -> None:
    """All problems are listed at once."""
    text = """\
name = "Bundle"
python = "3.9"
verison = "1.0.0"
[models]
iris = ">=1.0"
big-one = "1.0.0"
big_one = "1.0.0"
Odd = "1.0.0"
front = { version = "1.0.0", environment = "front", workers = 0, size = 1 }
[serve]
readiness = "most"
[image]
base = "python:3.11 AS x"
"""
    name = "a name of lower-case letters, digits and single `-` or `_`, at most 63 characters"
    assert refusal(text).splitlines() == [
        "composition.toml: 12 problems",
        f"  `name`: expected {name}, found `Bundle`",
        "  `version`: missing; expected one exact version such as `1.0.0`",
        "  `python`: expected a minor version of Python from `3.11` on, found `3.9`",
        "  `models.iris`: expected one exact version such as `1.0.0`, found `>=1.0`",
        "  `models.big_one`: the same name as `big-one`: `-` and `_` count as one",
        f"  `models.Odd`: expected {name}",
        (
            "  `models.front.environment`: `front` is the HTTP process's own environment; "
            "choose another"
        ),
        "  `models.front.workers`: expected a whole number from 1 to 64, or `auto`, found `0`",
        (
            "  `models.front.size`: unknown key; known: `call_limit_s`, `deadline_s`, "
            "`environment`, `gate`, `max_batch`, `max_queued`, `min_score`, `version`, `workers`"
        ),
        "  `serve.readiness`: expected `all` or `any`, found `most`",
        (
            "  `image.base`: expected an image reference such as `python:3.11-slim-bookworm`, "
            "found `python:3.11 AS x`"
        ),
        "  `verison`: unknown key; did you mean `version`?",
    ]


def test_several_versions_wrong() -> None:
    """Versions are exact, each stands once, and none shares an environment with another."""
    text = """\
name = "bundle"
version = "1.0.0"
python = "3.11"
environments = "some"
[models]
iris = []
digits = ["1.0.0", "1.1", "1.0.0"]
tulip = { version = ["1.0.0", "1.1.0"], environment = "garden" }
"""
    assert refusal(text).splitlines() == [
        "composition.toml: 5 problems",
        "  `models.iris`: names no version; write at least one",
        "  `models.digits[2]`: expected one exact version such as `1.0.0`, found `1.1`",
        "  `models.digits[3]`: `1.0.0` stands there twice",
        (
            "  `models.tulip.environment`: two versions of a model never share an environment; "
            "leave it out, and each gets one"
        ),
        "  `environments`: expected `few` or `one` or `each`, found `some`",
    ]


def test_several_versions_in_one_environment() -> None:
    """A manifest that wants one environment for all cannot have two versions of a model."""
    text = """\
name = "bundle"
version = "1.0.0"
python = "3.11"
environments = "one"
[models]
iris = ["1.0.0", "1.1.0"]
"""
    assert refusal(text) == (
        "composition.toml: `environments`: `one` cannot hold 2 versions of `iris`; "
        "two versions of a model never share an environment"
    )


@pytest.mark.parametrize(
    "index",
    [
        "https://me:secret@wheels.example/",
        "file:///wheels",
        "https://a b",
        "https://a/?x",
        "wheels",
    ],
)
def test_index_is_an_address(index: str) -> None:
    """An index is an address without a secret in it: a manifest is for everyone to read."""
    assert refusal(f'{TEXT.split("[wheels]", maxsplit=1)[0]}[wheels]\nindex = "{index}"\n') == (
        "composition.toml: `wheels.index`: expected the address of a package index without user or "
        f"password, such as `https://…/simple`, found `{index}`"
    )


def test_a_gate_that_makes_no_sense() -> None:
    """A minimum is a number of its score, and a gate without one would never close."""
    text = TEXT.replace("accuracy = 0.9", 'accuracy = "high"').replace("loss = 1", "loss = nan")
    text = text.replace("workers = 2 }", 'gate = "readiness" }').replace(
        "workers = 3 }", 'min_score = { x = true }, gate = "tets" }'
    )
    assert refusal(text).splitlines() == [
        "composition.toml: 5 problems",
        "  `models.tulip.min_score.x`: expected a finite number, found `True`",
        "  `models.tulip.gate`: expected `tests` or `readiness`, found `tets`",
        (
            "  `models.digits.gate`: demands nothing; say in `min_score` which score has to reach "
            "what"
        ),
        "  `models.wine.min_score.accuracy`: expected a finite number, found `high`",
        "  `models.wine.min_score.loss`: expected a finite number, found `nan`",
    ]

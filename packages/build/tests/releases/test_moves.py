"""What moved between two locks, as data, as text and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from stevedore_build.locks.verdict import versions_in
from stevedore_build.releases.changelogs import Changelog
from stevedore_build.releases.moves import ScoreMove, Side, find_moves
from stevedore_build.releases.moves_text import moves_to_json, moves_to_markdown
from stevedore_core.lock import Environment, Lock, LockedModel, LockedWheel
from stevedore_core.requirements_files import Pin
from stevedore_core.scores import Direction, Score

CHANGELOG = """\
# Changelog

## Unreleased

Not yet.

## 1.1.0 - 2026-02-01

Surer than before.

* Payloads stay as they are.

## 1.0.1

Smaller.

## 1.0.0

First version.
"""
CHANGELOGS = {"iris": Changelog.from_text(CHANGELOG, file="CHANGELOG.md")}


def model(name: str, version: str = "1.0.0", environment: str = "default") -> LockedModel:
    """Return a locked model; its wheel's digest follows from name and version."""
    return LockedModel(
        name=name,
        version=version,
        environment=environment,
        distribution=f"stevedore-model-{name}",
        sha256=(name + version).encode().hex().ljust(64, "0"),
        inputs_sha256="0" * 64,
        requires=(),
    )


def environment(name: str, **pins: str) -> Environment:
    """Return an environment with these distributions."""
    found = tuple(
        Pin(name=pin, version=version, marker=None, sha256s=("0" * 64,))
        for pin, version in pins.items()
    )
    return Environment(name=name, inputs_sha256="0" * 64, pins=found)


def lock(
    *models: LockedModel, version: str = "1.0.0", environments: Sequence[Environment] = ()
) -> Lock:
    """Return a lock of the composition `bundle`."""
    core = LockedWheel(distribution="ml-py-stevedore-core", version="0.1.0", sha256="0" * 64)
    return Lock(
        name="bundle",
        version=version,
        python="3.11",
        manifest_sha256="0" * 64,
        base=None,
        environments=tuple(environments),
        wheels=(core,),
        models=models,
    )


def side(locked: Lock, **scores: Sequence[Score]) -> Side:
    """Return a lock with the scores of its models' default versions."""
    default = {m.name: m.version for m in reversed(locked.models)}
    scored = {(name, default[name]): s for name, s in scores.items()}
    return Side(lock=locked, scores=scored, changelogs=CHANGELOGS)


def accuracy(value: float) -> Score:
    """Return a score of which more is better."""
    return Score(name="accuracy", value=value)


def loss(value: float) -> Score:
    """Return a score of which less is better."""
    return Score(name="log_loss", value=value, direction="lower")


def told(before: Side | None, after: Side) -> str:
    """Return what moved, as text."""
    return moves_to_markdown(find_moves(before, after))


def test_first_release() -> None:
    """Nothing came before: what is there is listed."""
    default = environment("default", numpy="2.2.6", scipy="1.15.0")
    first = lock(model("iris"), model("digits"), environments=[default])
    assert told(None, side(first, iris=[accuracy(0.95), loss(0.1359)])) == (
        "### Models\n\n"
        "#### `iris` 1.0.0\n\n"
        "| score | 1.0.0 |\n|---|---|\n"
        "| accuracy (higher is better) | 0.95 |\n| log_loss (lower is better) | 0.1359 |\n\n"
        "#### `digits` 1.0.0\n\n"
        "### Dependencies\n\n* `default`: 2 distributions\n\n"
        "### Platform\n\n* `Python` 3.11\n* `ml-py-stevedore-core` 0.1.0"
    )


def test_moved_model() -> None:
    """Versions, the scores of both, and the model's own entries in between."""
    before = side(lock(model("iris")), iris=[accuracy(0.95), loss(0.1359)])
    after = side(lock(model("iris", "1.1.0"), version="1.1.0"), iris=[accuracy(0.95), loss(0.03)])
    assert told(before, after) == (
        "### Models\n\n"
        "#### `iris` 1.0.0 → 1.1.0\n\n"
        "| score | 1.0.0 | 1.1.0 | |\n|---|---|---|---|\n"
        "| accuracy (higher is better) | 0.95 | 0.95 | same |\n"
        "| log_loss (lower is better) | 0.1359 | 0.03 | better |\n\n"
        "> **1.1.0**\n>\n> Surer than before.\n>\n> * Payloads stay as they are.\n\n"
        "> **1.0.1**\n>\n> Smaller."
    )


def test_model_goes_back() -> None:
    """A lower version than before: its entries are those that no longer hold."""
    before = side(lock(model("iris", "1.0.1")))
    after = side(lock(model("iris", "1.0.0"), version="1.0.1"))
    assert told(before, after) == (
        "### Models\n\n#### `iris` 1.0.1 → 1.0.0\n\nTaken back:\n\n> **1.0.1**\n>\n> Smaller."
    )


def test_models_come_and_go() -> None:
    """A model that was added, one that was removed, one that stayed; scores where there are."""
    before = side(lock(model("iris"), model("digits")), digits=[accuracy(0.9)])
    after = side(lock(model("iris"), model("wine")), wine=[accuracy(0.8)])
    assert told(before, after) == (
        "### Models\n\n"
        "#### `wine` 1.0.0, added\n\n"
        "| score | 1.0.0 |\n|---|---|\n| accuracy (higher is better) | 0.8 |\n\n"
        "#### `digits` 1.0.0, removed\n\n"
        "| score | 1.0.0 |\n|---|---|\n| accuracy (higher is better) | 0.9 |"
    )


def test_several_versions() -> None:
    """All versions are named; the scores are the default's."""
    before = side(lock(model("iris", "1.0.0")), iris=[accuracy(0.9)])
    pair = lock(model("iris", "1.1.0"), model("iris", "1.0.0", "default-2"))
    after = side(pair, iris=[accuracy(0.8)])
    assert told(before, after).splitlines()[:7] == [
        "### Models",
        "",
        "#### `iris` 1.0.0 → 1.1.0 and 1.0.0",
        "",
        "1.0.0 moved from `default` to `default-2`.",
        "",
        "| score | 1.0.0 | 1.1.0 | |",
    ]


def test_score_moves_alone() -> None:
    """A model whose dependencies moved may score otherwise at the same version."""
    before = side(lock(model("iris")), iris=[accuracy(0.9), loss(0.1)])
    after = side(lock(model("iris")), iris=[accuracy(0.8)])
    assert told(before, after) == (
        "### Models\n\n"
        "#### `iris` 1.0.0\n\n"
        "| score | 1.0.0 | 1.0.0 | |\n|---|---|---|---|\n"
        "| accuracy (higher is better) | 0.9 | 0.8 | worse |\n"
        "| log_loss (lower is better) | 0.1 | – | removed |"  # noqa: RUF001 - as it is printed
    )


@pytest.mark.parametrize(
    ("before", "after", "direction", "verdict"),
    [
        (0.9, 0.8, "higher", "worse"),
        (0.9, 0.8, "lower", "better"),
        (0.8, 0.9, "higher", "better"),
        (0.8, 0.9, "lower", "worse"),
        (0.9, 0.9, "lower", "same"),
        (None, 0.9, "lower", "added"),
        (0.9, None, "lower", "removed"),
    ],
)
def test_verdict_on_a_score(
    before: float | None, after: float | None, direction: Direction, verdict: str
) -> None:
    """Which way is better is the score's own to say."""
    moved = ScoreMove(name="score", before=before, after=after, direction=direction)
    assert moved.verdict == verdict


def test_dependencies() -> None:
    """By environment: what was added, removed and moved; an environment may come or go whole."""
    old = [
        environment("default", numpy="2.2.6", scipy="1.15.0", joblib="1.5.0"),
        environment("front", fastapi="0.115.0"),
        environment("old", numpy="1.26.0"),
    ]
    new = [
        environment("default", numpy="2.3.0", joblib="1.5.0", skops="0.11.0"),
        environment("front", fastapi="0.115.0"),
        environment("new", numpy="1.26.0"),
    ]
    before, after = side(lock(environments=old)), side(lock(environments=new))
    assert told(before, after) == (
        "### Dependencies\n\n"
        "* `default`: `numpy` 2.2.6 → 2.3.0, `scipy` 1.15.0 removed, `skops` 0.11.0\n"
        "* `new`: 1 distribution\n"
        "* `old`: removed"
    )


def test_versions_by_platform() -> None:
    """A distribution whose version differs between platforms has both."""
    one = environment("default", numpy="2.2.6")
    both = replace(one, pins=(*one.pins, replace(one.pins[0], version="1.26.0")))
    locked = lock(environments=[both])
    assert versions_in(locked, "default") == {"numpy": "1.26.0 or 2.2.6"}
    assert versions_in(locked, "absent") == {}
    assert versions_in(None, "default") == {}


def test_platform() -> None:
    """Python, the base image and our own packages; other content of one version is said."""
    after = replace(
        lock(),
        python="3.12",
        base="python:3.12",
        wheels=(replace(lock().wheels[0], sha256="1" * 64),),
    )
    assert told(side(lock()), side(after)) == (
        "### Platform\n\n"
        "* `Python` 3.11 → 3.12\n"
        "* `base image` python:3.12\n"
        "* `ml-py-stevedore-core` 0.1.0, with other content"
    )


def test_other_content_of_a_model() -> None:
    """Before a release the same version may come with another wheel."""
    other = replace(model("iris"), sha256="1" * 64)
    assert told(side(lock(model("iris"))), side(lock(other))) == (
        "### Models\n\n#### `iris` 1.0.0\n\nThe content of 1.0.0 is another one."
    )


def test_nothing_moved() -> None:
    """A lock compared with itself."""
    same = side(lock(model("iris")), iris=[accuracy(0.9)])
    assert told(same, same) == "Nothing moved."


def test_entry_cannot_leave_its_place() -> None:
    """Whatever a model's changelog and scores say, it stays a quotation and a cell."""
    hostile = "# Changelog\n\n## 1.1.0\n\n```\n## 9.9.9\n```\n### Dependencies\n"
    changelogs = {"iris": Changelog.from_text(hostile, file="CHANGELOG.md")}
    before = side(lock(model("iris")), iris=[Score(name="a | b\n## c", value=1.0)])
    after = side(lock(model("iris", "1.1.0")), iris=[Score(name="a | b\n## c", value=1.0)])
    text = told(*(replace(one, changelogs=changelogs) for one in (before, after)))
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "### Models",
        "#### `iris` 1.0.0 → 1.1.0",
    ]
    assert "| a \\| b ## c (higher is better) | 1 | 1 | same |" in text.splitlines()


def test_json() -> None:
    """Everything that the text says is there for programs."""
    before = side(
        lock(model("iris"), environments=[environment("default", numpy="2.2.6")]),
        iris=[accuracy(0.9)],
    )
    after = side(
        lock(
            model("iris", "1.0.1"),
            version="1.1.0",
            environments=[environment("default", numpy="2.3.0")],
        ),
        iris=[accuracy(0.95)],
    )
    printed = moves_to_json(find_moves(before, after))
    assert len(printed.splitlines()) == 1
    old, new = before.lock.models[0], after.lock.models[0]
    assert json.loads(printed) == {
        "composition": "bundle",
        "from": "1.0.0",
        "to": "1.1.0",
        "models": [
            {
                "name": "iris",
                "from": [{"version": "1.0.0", "environment": "default", "sha256": old.sha256}],
                "to": [{"version": "1.0.1", "environment": "default", "sha256": new.sha256}],
                "scores": [
                    {
                        "name": "accuracy",
                        "from": 0.9,
                        "to": 0.95,
                        "direction": "higher",
                        "verdict": "better",
                    }
                ],
                "entries": [{"version": "1.0.1", "text": "Smaller."}],
            }
        ],
        "environments": [
            {
                "name": "default",
                "from": 1,
                "to": 1,
                "distributions": [{"name": "numpy", "from": "2.2.6", "to": "2.3.0"}],
            }
        ],
        "platform": [],
    }

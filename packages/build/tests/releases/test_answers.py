"""What models answer, asked of real workers on the layouts of a tiny repository with our core."""

import shutil

import pytest
import tiny

from stevedore_build.errors import CheckFailed
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.releases import answers
from stevedore_build.releases.answers import Answer, answers_of
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.scores import Score
from stevedore_core.strict_json import Json

CODE = "models/adder/src/stevedore_model_adder/__init__.py"


@pytest.fixture
def adder(adder_repository: Workspace) -> Workspace:
    """The repository with `adder` as it is at first, and no answers."""
    tiny.add_adder(adder_repository.root)
    shutil.rmtree(adder_repository.store.answers, ignore_errors=True)
    return adder_repository


def locked(workspace: Workspace) -> Lock:
    """Return the lock of `adder` as it is now."""
    return lock_manifest(tiny.ADDER_ALONE, wheels_of(tiny.ADDER_ALONE, workspace=workspace))


def change(workspace: Workspace, old: str, new: str) -> None:
    """Replace a part of the model's code."""
    code = (workspace.root / CODE).read_text()
    assert old in code
    tiny.write(workspace.root / CODE, code.replace(old, new))


def test_answers(adder: Workspace) -> None:
    """A model tells its schemas and examples, what it predicts for them, and its scores."""
    found = answers_of(locked(adder), "adder", store=adder.store, payloads=[[], [-1], [2**70]])
    schema: Json = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "array",
        "items": {"type": "number", "minimum": 0},
    }
    refusal = "the payload does not fit the model's JSON Schema"
    assert found == answers.Answers(
        name="adder",
        version="1.0.0",
        predict_schema=schema,
        score_schema=schema,
        predict_example=[1, 2.5],
        score_example=[1, 2.5],
        scores=(Score(name="step", value=1.0, direction="lower"),),
        answer=Answer(prediction=[2, 3.5]),
        asked=(
            Answer(prediction=[]),
            Answer(refusal=refusal),
            Answer(prediction=[2**70 + 1]),
        ),
    )


def test_kept(adder: Workspace) -> None:
    """The same pins and payloads are asked once; other payloads or pins are asked anew."""
    lock = locked(adder)
    first = answers_of(lock, "adder", store=adder.store, payloads=[[1]])
    shutil.rmtree(adder.store.layouts)
    assert answers_of(lock, "adder", store=adder.store, payloads=[[1]]) == first
    assert not adder.store.layouts.exists()
    assert answers_of(lock, "adder", store=adder.store, payloads=[[2]]).asked[0].prediction == [3]
    change(adder, "x + 1", "x + 2")
    assert answers_of(locked(adder), "adder", store=adder.store).answer.prediction == [3, 4.5]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("return Adder", "import absent; return Adder", r"`adder` 1\.0\.0 cannot be loaded: "),
        ('{"step"', '{"step": "no"} or {"step"', r"`adder` 1\.0\.0 cannot be scored: "),
    ],
)
def test_no_answers(adder: Workspace, old: str, new: str, said: str) -> None:
    """A model that cannot be loaded or scored is told, and nothing is kept."""
    change(adder, old, new)
    with pytest.raises(CheckFailed, match=said):
        answers_of(locked(adder), "adder", store=adder.store)
    assert not adder.store.answers.exists()


def test_no_answer(adder: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that dies or hangs is told with what it said, and nothing is kept."""
    monkeypatch.setattr(answers, "_LIMIT_S", 2.0)
    dies = "X == [3] and print('so long', flush=True) or X == [3] and os._exit(3)"
    change(adder, "return [x", f"import os, time; {dies}; X == [4] and time.sleep(9); return [x")
    lock = locked(adder)
    with pytest.raises(CheckFailed) as caught:
        answers_of(lock, "adder", store=adder.store, payloads=[[3]])
    assert str(caught.value) == "the worker of model `adder` 1.0.0 died; it said:\nso long"
    with pytest.raises(CheckFailed) as caught:
        answers_of(lock, "adder", store=adder.store, payloads=[[4]])
    assert str(caught.value) == "model `adder` 1.0.0 took more than 2 s to answer"
    assert not adder.store.answers.exists()


def test_model_that_fails_on_a_payload(adder: Workspace) -> None:
    """An exception in the model is an answer: a refusal."""
    change(adder, "return [x", "1 / len(X); return [x")
    found = answers_of(locked(adder), "adder", store=adder.store, payloads=[[]])
    assert found.asked == (Answer(refusal="model `adder` failed on this payload"),)

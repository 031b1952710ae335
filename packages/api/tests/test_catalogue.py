"""The catalogue: what is known of each model before and after it was loaded."""

import pytest
from assembled import ScriptedGroup, catalogue_of, frame_of

from stevedore_core.errors import ModelNotReady, ModelUnknown
from stevedore_core.frames import Kind
from stevedore_core.strict_json import Json

SAID: dict[str, Json] = {
    "created": "2024-01-01T00:00:00+00:00",
    "predict_schema": {"type": "array"},
    "score_schema": {},
    "predict_example": [1],
}


@pytest.fixture
def group() -> ScriptedGroup:
    """A group whose workers are not asked."""
    return ScriptedGroup(lambda _: frame_of(Kind.ANSWER, None))


def test_names_keep_their_order() -> None:
    """The models stand in the order of the manifest."""
    catalogue = catalogue_of({"b": None, "a": None})
    assert catalogue.names == ["b", "a"]
    assert [model.name for model in catalogue] == ["b", "a"]


def test_an_unknown_model() -> None:
    """A name that is not served is refused in words that do not repeat it."""
    with pytest.raises(ModelUnknown) as caught:
        catalogue_of({"a": None})["<b>"]
    assert str(caught.value) == "no model of that name is served here; `/list` names all"


def test_an_entry_before_and_after_loading(group: ScriptedGroup) -> None:
    """What only the worker knows is null until it said so."""
    catalogue = catalogue_of({"a": None}, group)
    entry = {"name": "a", "version": "1.0.0", "environment": "default"}
    nothing = {"created": None, "predict_schema": None, "score_schema": None}
    assert catalogue["a"].entry() == {**entry, **nothing}
    group.heard[0] = SAID
    told = {key: SAID[key] for key in nothing}
    assert catalogue["a"].entry() == {**entry, **told}


def test_what_a_worker_said(group: ScriptedGroup) -> None:
    """Asking for it before a worker loaded the model says that it is not loaded."""
    catalogue = catalogue_of({"a": None}, group)
    with pytest.raises(ModelNotReady) as caught:
        catalogue["a"].said("created")
    assert str(caught.value) == "model `a` is not loaded"
    group.heard[0] = SAID
    assert catalogue["a"].said("created") == "2024-01-01T00:00:00+00:00"


def test_a_catalogue_is_complete_once_all_are_loaded(group: ScriptedGroup) -> None:
    """One model of two is not enough."""
    catalogue = catalogue_of({"a": None, "b": None}, group)
    group.heard[1] = SAID
    assert not catalogue.is_complete
    group.heard[0] = SAID
    assert catalogue.is_complete

"""The catalogue: what is known of each model before and after it was loaded."""

import pytest
from assembled import catalogue_of

from stevedore_core.errors import ModelNotReady, ModelUnknown
from stevedore_core.strict_json import Json

SAID: dict[str, Json] = {
    "created": "2024-01-01T00:00:00+00:00",
    "predict_schema": {"type": "array"},
    "score_schema": {},
    "predict_example": [1],
}


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


def test_an_entry_before_and_after_loading() -> None:
    """What only the worker knows is null until it said so."""
    catalogue = catalogue_of({"a": None})
    entry = {"name": "a", "version": "1.0.0", "environment": "default"}
    nothing = {"created": None, "predict_schema": None, "score_schema": None}
    assert catalogue["a"].entry() == {**entry, **nothing}
    catalogue.note_loaded("a", SAID)
    told = {key: SAID[key] for key in nothing}
    assert catalogue["a"].entry() == {**entry, **told}


def test_what_a_worker_said() -> None:
    """Asking for it before a worker loaded the model says that it is not loaded."""
    catalogue = catalogue_of({"a": None})
    with pytest.raises(ModelNotReady) as caught:
        catalogue["a"].said("created")
    assert str(caught.value) == "model `a` is not loaded"
    catalogue.note_loaded("a", SAID)
    assert catalogue["a"].said("created") == "2024-01-01T00:00:00+00:00"


def test_listeners_hear_of_every_load() -> None:
    """Whoever wants to know is told each time; the catalogue is complete once all are loaded."""
    catalogue = catalogue_of({"a": None, "b": None})
    heard: list[str] = []
    catalogue.on_loaded(heard.append)
    catalogue.note_loaded("b", SAID)
    assert not catalogue.is_complete
    catalogue.note_loaded("a", SAID)
    catalogue.note_loaded("b", SAID)
    assert catalogue.is_complete
    assert heard == ["b", "a", "b"]

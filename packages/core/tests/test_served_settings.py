"""The settings that a manifest may give."""

import pytest

from stevedore_core.errors import DocumentInvalid
from stevedore_core.fields import Fields
from stevedore_core.served_settings import FOR_MODELS, SERVED, Setting, read_settings


def read(**table: object) -> dict[str, Setting]:
    """Read a table that may have all settings."""
    fields = Fields(table=table, file="composition.toml", path="serve")
    settings = read_settings(fields, SERVED)
    fields.finish()
    return settings


def test_only_what_is_said_is_there() -> None:
    """A setting that is not in the table is left to whoever has a default."""
    assert read() == {}
    assert read(workers=2, deadline_s=1) == {"workers": 2, "deadline_s": 1.0}


@pytest.mark.parametrize("name", SERVED)
def test_bounds(name: str) -> None:
    """The lowest and the highest are allowed, what is beyond is not."""
    allowed = SERVED[name]
    for value in (allowed.low, allowed.high):
        exact = int(value) if allowed.is_whole else value
        assert read(**{name: exact}) == {name: exact}
    for value in (allowed.low - 1, allowed.high + 1):
        exact = int(value) if allowed.is_whole else value
        with pytest.raises(DocumentInvalid, match=f"^composition.toml: `serve.{name}`: expected a"):
            read(**{name: exact})


def test_all_that_is_wrong_is_told() -> None:
    """Each message has the key, what was expected and what was found."""
    with pytest.raises(DocumentInvalid) as caught:
        read(workers="many", max_queued=1.5, deadline_s="1", drain_s=True, deadlines_s=1)
    assert str(caught.value).splitlines() == [
        "composition.toml: 5 problems",
        "  `serve.deadline_s`: expected a number from 0.001 to 86400, found `1`",
        "  `serve.drain_s`: expected a whole number from 1 to 3600, found `True`",
        "  `serve.max_queued`: expected a whole number from 1 to 1000000, found `1.5`",
        "  `serve.workers`: expected a whole number from 1 to 64, or `auto`, found `many`",
        "  `serve.deadlines_s`: unknown key; did you mean `deadline_s`?",
    ]


def test_models_have_some_of_them() -> None:
    """What one model may have is among what all may have."""
    assert set(FOR_MODELS) <= set(SERVED)

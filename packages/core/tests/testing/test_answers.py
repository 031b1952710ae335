"""Two answers are compared exactly, but for floats within a tolerance."""

import pytest

from stevedore_core.strict_json import Json
from stevedore_core.testing.answers import difference


@pytest.mark.parametrize(
    ("found", "expected", "tolerance"),
    [
        (None, None, 0.0),
        ([1, "a", {"b": [True]}], [1, "a", {"b": [True]}], 0.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 0.0),
        (1e6 + 1, 1e6, 1e-5),
        (1e-7, 0.0, 1e-6),
        ([[0.5]], [[0.5 + 1e-9]], 1e-8),
    ],
)
def test_equal(found: Json, expected: Json, tolerance: float) -> None:
    """Floats may differ by the tolerance, relative, and absolute below 1; objects have no order."""
    assert difference(found, expected, tolerance) is None


@pytest.mark.parametrize(
    ("found", "expected", "tolerance", "message"),
    [
        (1.0, 1.0000001, 0.0, "``: expected 1.0000001, found 1.0"),
        (1.0, 1.1, 1e-2, "``: expected 1.1, found 1.0"),
        (1e-3, 0.0, 1e-6, "``: expected 0.0, found 0.001"),
        (1, 2, 10.0, "``: expected 2, found 1"),
        (1, 1.0, 10.0, "``: expected 1.0, found 1"),
        (True, 1, 10.0, "``: expected 1, found True"),
        (["a", "b"], ["a", "c"], 10.0, "`/1`: expected 'c', found 'b'"),
        ([1], [1, 2], 10.0, "``: expected [1, 2], found [1]"),
        ({"a": [0]}, {"a": [1]}, 10.0, "`/a/0`: expected 1, found 0"),
        ({"a/b": [0]}, {"a/b": [1]}, 10.0, "`/a~1b/0`: expected 1, found 0"),
        ({"z": 0, "a": 0}, {"a": 1, "z": 1}, 10.0, "`/z`: expected 1, found 0"),
        ({"a": 0}, {"b": 0}, 10.0, "``: expected {'b': 0}, found {'a': 0}"),
    ],
)
def test_different(found: Json, expected: Json, tolerance: float, message: str) -> None:
    """The first place that differs is named."""
    assert difference(found, expected, tolerance) == message

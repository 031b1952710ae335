"""Worker slots: what happens to workers that die is tested through `WorkerGroup`."""

import pytest

from stevedore_api.slots import _backoff_s


@pytest.mark.parametrize(
    ("deaths", "expected_s"),
    [(0, 0), (1, 0.2), (2, 0.4), (6, 6.4), (7, 10), (1_024, 10), (10**6, 10)],
)
def test_backoff(deaths: int, expected_s: float) -> None:
    """The first replacement comes at once; however many die, there is a next one."""
    assert _backoff_s(deaths) == expected_s

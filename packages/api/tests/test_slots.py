"""Worker slots: what happens to workers that die is tested through `WorkerGroup`."""

import pytest

from stevedore_api.slots import _backoff_s


@pytest.mark.parametrize(
    ("deaths", "expected_s"),
    [(0, 0), (1, 0.5), (2, 2), (3, 8), (4, 20), (1_024, 20), (10**6, 20)],
)
def test_backoff(deaths: int, expected_s: float) -> None:
    """The first replacement comes at once; however many die, there is a next one."""
    assert _backoff_s(deaths) == expected_s

"""Worker slots: what happens to workers that die is tested through `WorkerGroup`."""

import pytest

from stevedore_api.slots import _START_AGAIN_S, _wait_s


@pytest.mark.parametrize(
    ("deaths", "expected_s"),
    [(0, 0), (1, 0.5), (2, 2), (3, 8), (4, 20), (1_024, 20), (10**6, 20)],
)
def test_when_to_start_again(deaths: int, expected_s: float) -> None:
    """The first replacement comes at once; however many die, there is a next one."""
    assert _wait_s(_START_AGAIN_S, deaths) == expected_s

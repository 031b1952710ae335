"""A container that is told to stop while it is asked: the front is its first process."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from image_under_test import Container, StartContainer, engine
from outside import Outside

pytestmark = pytest.mark.stress

GOES_ON_S = 1.0
"""How long callers send on after the signal, as a load balancer does that learns of it late."""


def stop_under_load(
    container: Container, payloads: dict[str, str], predictions: dict[str, str]
) -> tuple[Outside, int]:
    """Send SIGTERM while every model is asked; return the callers and the exit status."""
    with Outside(container.address(), payloads, predictions) as callers:
        callers.await_all()
        engine("kill", "--signal=TERM", container.name)
        time.sleep(GOES_ON_S)
    return callers, int(engine("wait", container.name).stdout)


@pytest.mark.fault("B1")
def test_nothing_is_lost_when_a_container_stops(  # fixtures
    start_container: StartContainer,
    payloads: dict[str, str],
    predictions: dict[str, str],
    scale: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """What arrives after SIGTERM is served for the drain delay, and the container ends itself."""
    stops, sent = scale(1, 20), 0
    for _ in range(stops):
        container = start_container(
            "--publish=127.0.0.1::8000", f"--env=STEVEDORE_DRAIN_DELAY_S={3 * GOES_ON_S}"
        )
        callers, status = stop_under_load(container, payloads, predictions)
        assert (callers.failures, status) == ([], 0)
        sent += sum(callers.sent.values())
    composition = Path(os.environ["STEVEDORE_COMPOSITION"]).name
    figure(f"image of {composition}: 0 of {sent} requests lost in {stops} stops")


@pytest.mark.control("B1")
def test_who_sends_on_is_lost_without_a_delay(
    start_container: StartContainer, payloads: dict[str, str], predictions: dict[str, str]
) -> None:
    """A container that serves nothing after the signal loses who sends on, and that is seen."""
    container = start_container("--publish=127.0.0.1::8000", "--env=STEVEDORE_DRAIN_DELAY_S=0")
    callers, _ = stop_under_load(container, payloads, predictions)
    assert callers.failures
    state = json.loads(engine("inspect", "--format={{json .State}}", container.name).stdout)
    assert state["ExitCode"] == 0

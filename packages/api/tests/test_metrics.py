"""What is counted."""

import time

import pytest

from stevedore_api.metrics import Histogram, Metrics


def test_a_histogram_counts_up_to_each_bound() -> None:
    """A value on a bound is within it; one beyond all is within infinity only."""
    histogram = Histogram((1.0, 2.5))
    for value in (0.5, 1, 2, 2.5, 3):
        histogram.observe(value)
    assert histogram.buckets() == [("1.0", 2.0), ("2.5", 4.0), ("+Inf", 5.0)]
    assert histogram.total == 9


def test_answers_are_counted_by_what_they_were() -> None:
    """A problem counts by its reason too; a request that names no model has an empty one."""
    metrics = Metrics(["a"])
    metrics.note_answer("predict", "a", 200, None, 0.002)
    metrics.note_answer("predict", "a", 429, "queue-full", 0.001)
    metrics.note_answer("predict", None, 404, "model-unknown", 0.001)
    metrics.note_answer("other", None, 200, None, 0.001)
    assert metrics.requests == {
        ("a", "predict", 200): 1,
        ("a", "predict", 429): 1,
        ("", "predict", 404): 1,
        ("", "other", 200): 1,
    }
    assert metrics.refusals == {("a", "queue-full"): 1, ("", "model-unknown"): 1}
    assert metrics.models["a"].answered.total == pytest.approx(0.003)


def test_a_call_that_no_worker_got_only_waited() -> None:
    """Its time is in one histogram and not in the other."""
    metrics = Metrics(["a"])
    metrics.note_call("a", 0.5, None)
    metrics.note_call("a", 0.25, 1.0)
    assert metrics.models["a"].waited.total == 0.75
    assert metrics.models["a"].ran.total == 1
    assert metrics.models["a"].ran.buckets()[-1] == ("+Inf", 1.0)


@pytest.mark.clock
def test_counting_costs_little() -> None:
    """All that is counted for one request takes a fraction of what answering it does."""
    metrics = Metrics(["a"])
    fastest_s = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(1_000):
            metrics.note_answer("predict", "a", 200, None, 0.002)
            metrics.note_call("a", 0.001, 0.001)
        fastest_s = min(fastest_s, (time.perf_counter() - begun) / 1_000)
    assert fastest_s < 5e-6

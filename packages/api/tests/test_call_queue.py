"""The queue of a group: who goes next, and with whom."""

import asyncio
from typing import cast

import pytest

from stevedore_api.admission import Admission
from stevedore_api.call_queue import Call, CallQueue
from stevedore_api.settings import Settings
from stevedore_core.errors import QueueFull
from stevedore_core.frames import Frame, Kind

SETTINGS = Settings.read({"STEVEDORE_MAX_BATCH": "3", "STEVEDORE_MAX_BATCH_BYTES": "100"})
MODELS = {"a": SETTINGS, "b": SETTINGS}


def call(kind: Kind = Kind.PREDICT, number: int = 0, body: bytes = b"1", **more: bool) -> Call:
    """Return a call."""
    answer = cast("asyncio.Future[Frame]", None)  # the queue never looks at it
    return Call(
        kind=kind, number=number, body=body, limit_s=1, answer=answer, admitted_at=0, **more
    )


def queue_of(*calls: Call, max_queued: int = 10) -> CallQueue:
    """Return a queue of two models, of which the first is batchable, with these calls in it."""
    queue = CallQueue(MODELS, Admission(dict.fromkeys(MODELS, max_queued), 1_000))
    queue.batchable.add(0)
    for each in calls:
        queue.append(each)
    return queue


def taken(queue: CallQueue) -> list[list[Call]]:
    """Take all there is."""
    batches = []
    while batch := queue.take():
        batches.append(batch)
    return batches


def test_models_take_turns() -> None:
    """A model with a long queue does not keep another from its turn."""
    a, b = [call() for _ in range(7)], [call(number=1) for _ in range(2)]
    assert taken(queue_of(*a, *b)) == [a[:3], b[:1], a[3:6], b[1:], a[6:]]


def test_self_tests_go_first_but_not_for_ever() -> None:
    """After one that was lost with its worker, what waits has a turn before the next."""
    one, two, three = (call(Kind.SELF_TEST, is_own=True) for _ in range(3))
    a, b = call(), call(number=1)
    assert taken(queue_of(a, b, one, two)) == [[one], [two], [a], [b]]
    queue = queue_of(a, b, one, two, three)
    queue.lets_callers_first = True
    assert taken(queue) == [[a], [one], [two], [three], [b]]
    queue = queue_of(one)
    queue.lets_callers_first = True
    assert queue.take() == [one]


def test_only_predictions_of_a_batchable_model_go_together() -> None:
    """In the order in which they came: what goes alone ends a batch."""
    one, two, score, three = call(), call(Kind.PREDICT_ENVELOPE), call(Kind.SCORE), call()
    assert taken(queue_of(one, two, score, three)) == [[one, two], [score], [three]]
    b = [call(number=1) for _ in range(2)]
    assert taken(queue_of(*b)) == [b[:1], b[1:]]


def test_bytes_bound_a_batch() -> None:
    """A body that is too long for a batch goes alone, whatever waits beside it."""
    short, half, long = call(), call(body=b"x" * 60), call(body=b"x" * 200)
    other = call(body=b"x" * 60)
    assert taken(queue_of(half, short, other, long)) == [[half, short], [other], [long]]
    assert taken(queue_of(long, short)) == [[long], [short]]
    fitting, too_long = call(body=b"x" * 40), call(body=b"x" * 41)
    assert taken(queue_of(half, fitting)) == [[half, fitting]]
    assert taken(queue_of(half, too_long)) == [[half], [too_long]]


def test_what_comes_back_goes_first_and_alone() -> None:
    """Ahead of all that waits, in its old order, never refused, and counted as waiting again."""
    lost = [call(goes_alone=True) for _ in range(2)]
    other, waiting = call(number=1), call()
    queue = queue_of(other, waiting, max_queued=2)
    queue.put_back(lost)
    with pytest.raises(QueueFull):
        queue.append(call())
    assert queue.take() == lost[:1]
    assert taken(queue) == [[other], lost[1:], [waiting]]
    empty = queue_of(other)
    empty.put_back(lost)
    assert taken(empty) == [lost[:1], [other], lost[1:]]


def test_what_is_taken_waits_no_more() -> None:
    """Its place is free, the second time too if it came back; and what came back can be dropped."""
    admission = Admission(dict.fromkeys(MODELS, 2), 1_000)
    queue = CallQueue(MODELS, admission)
    one = call()
    queue.append(one)
    for _ in range(2):
        assert (admission.queued("a"), one.is_waiting) == (1, True)
        assert queue.take() == [one]
        assert (admission.queued("a"), one.is_waiting) == (0, False)
        queue.put_back([one])
    queue.drop(one)
    assert (admission.queued("a"), one.is_waiting, queue.take()) == (0, False, [])


def test_what_is_dropped_leaves_no_trace() -> None:
    """Its place is free, its model's turn is over if nothing else waits, and once is enough."""
    first, second = call(), call()
    queue = queue_of(first, second, max_queued=2)
    queue.drop(first)
    queue.drop(first)
    queue.append(call())
    assert [len(batch) for batch in taken(queue)] == [2]
    queue = queue_of(first)
    queue.drop(first)
    assert queue.take() == []
    own = call(Kind.SCORE_EXAMPLES, is_own=True)
    queue = queue_of(own)
    queue.drop(own)
    assert taken(queue) == [[own]]

"""The rules about the process that a model shares with others. `Conformance` has them."""

import gc
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Final

import pytest

from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json, decode, encode
from stevedore_core.testing.surroundings import Deeds, watched

__all__ = ["ProcessRules"]

_WINDOWS: Final = 4
"""How often memory is looked at; the first time is the measure of the next."""

_FEWEST_CALLS: Final = 10
_MOST_CALLS: Final = 25
_WINDOW_S: Final = 0.1
"""How many calls lie between: as many as go into this time, within those limits."""

_LONGER: Final = (1, 4, 16)
"""How much longer the windows get while memory seems to grow: caches are full some day."""


class ProcessRules:
    """Rules about what predicting and scoring leave; each test's docstring is one."""

    def test_nothing_is_written(self, predictor: Predictor) -> None:
        """Predicting and scoring write to no file, nor to standard output or error."""
        if found := _deeds(predictor).written:
            pytest.fail(f"answering: {'; '.join(found)}")

    def test_nothing_is_started(self, predictor: Predictor) -> None:
        """They start no process, connect to nothing, and leave no thread and no file open."""
        if found := _deeds(predictor).started:
            pytest.fail(f"answering: {'; '.join(found)}")

    def test_the_process_stays_as_it_was(self, predictor: Predictor) -> None:
        """They change nothing that others in the process share: directory, locale, handlers."""
        if found := _deeds(predictor).changed:
            pytest.fail(f"answering: {'; '.join(found)}")

    def test_memory_does_not_grow(self, predictor: Predictor) -> None:
        """The same call again and again leaves no object behind."""
        for method, example in (
            (predictor.predict, predictor.test_input),
            (predictor.score, predictor.score_test_input),
        ):
            for longer in _LONGER:
                left = _objects_left(method, encode(example), longer)
                if left < 1:
                    break
            else:
                pytest.fail(f"each call of `{method.__name__}` leaves {left:.0f} objects behind")


def _deeds(predictor: Predictor) -> Deeds:
    """Return what a prediction and a score do beside answering."""
    with watched() as deeds:
        predictor.predict(deepcopy(predictor.test_input))
        predictor.score(deepcopy(predictor.score_test_input))
    return deeds


def _objects_left(method: Callable[[Json], object], body: bytes, longer: int) -> float:
    """Return how many blocks of Python's memory each call leaves at least, over several windows."""
    begin = time.perf_counter()
    encode(method(decode(body)))
    took_s = time.perf_counter() - begin
    calls = longer * max(_FEWEST_CALLS, min(_MOST_CALLS, int(_WINDOW_S / took_s)))
    held = []
    gc.freeze()  # what was there before need not be looked at again and again
    try:
        for _ in range(_WINDOWS):
            for _ in range(calls):
                encode(method(decode(body)))
            gc.collect()
            held.append(sys.getallocatedblocks())
    finally:
        gc.unfreeze()
    return min(after - before for before, after in pairwise(held)) / calls

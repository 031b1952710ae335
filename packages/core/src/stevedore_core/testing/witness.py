"""Loads a model in a process of its own, in other surroundings, and tells what it saw.

The conformance suite starts it: `python -m stevedore_core.testing.witness <model> <file>`. The file
gets what loading did to the process, and the answers of two loads of the model.
"""

import datetime as dt
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from stevedore_core.discovery import load_model
from stevedore_core.predictor import Predictor
from stevedore_core.strict_json import Json, decode, encode
from stevedore_core.testing.surroundings import watched

__all__ = ["answers_of", "main"]

_LATER_S: Final = 3_000_000.0
"""How much later it is for the model: not a whole number of days or weeks."""

_OF_IMPORTS: Final = (
    "the environment",
    "the filters of warnings",
    "the garbage collector",
    "the numbers that `random` draws",
)
"""What libraries change for all when they are imported, and no model can help."""


def main(model: str, file: str) -> None:
    """Load, answer, load again, answer, and write down what came of it."""
    logging.getLogger().addHandler(logging.NullHandler())  # a server has handlers
    with watched() as deeds:
        predictor = load_model(model)
    with _later(sys.modules[type(predictor).__module__].__name__.partition(".")[0]):
        answers = [answers_of(predictor)]
        with watched() as again:  # now all is imported
            another = load_model(model)
        answers += [answers_of(another), answers_of(predictor)]
    changed = [deed for deed in deeds.changed if not any(name in deed for name in _OF_IMPORTS)]
    changed += [deed for deed in again.changed if deed not in changed]
    done = [*deeds.written, *deeds.started, *changed]
    Path(file).write_text(json.dumps({"done": done, "answers": answers}), encoding="utf-8")


def answers_of(predictor: Predictor) -> Json:
    """Return the prediction and the score of the examples, as callers get them."""
    prediction = predictor.predict(decode(encode(predictor.test_input)))
    score = predictor.score(decode(encode(predictor.score_test_input)))
    nan_as_null = predictor.nan_as_null
    return [decode(encode(prediction, nan_as_null=nan_as_null)), decode(encode(score))]


@contextmanager
def _later(package: str) -> Iterator[None]:
    """Have the clock show another time, for the package's modules and whoever asks by module."""
    now: Any = time.time
    real: Any = dt.datetime

    class Later(real):  # type: ignore[misc]  # mypy cannot see through the name
        """The class of times, of which `now` is later."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            """Return the time in a while."""
            return real.now(tz) + dt.timedelta(seconds=_LATER_S)

        @classmethod
        def utcnow(cls) -> Any:
            """Return the same, in UTC, without saying so."""
            return cls.now(dt.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            """Return the same."""
            return cls.now()

    others = {now: lambda: now() + _LATER_S, real: Later}
    patched = [(time, "time", now), (dt, "datetime", real)]
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == package:
            patched += [
                (module, key, value)
                for key, value in vars(module).items()
                if value is now or value is real
            ]
    for module, key, value in patched:
        setattr(module, key, others[value])
    try:
        yield
    finally:
        for module, key, value in patched:
            setattr(module, key, value)


if __name__ == "__main__":  # pragma: no cover  # in a process of its own
    main(*sys.argv[1:])

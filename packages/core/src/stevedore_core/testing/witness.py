"""`witness`: a model loaded in a process of its own, in other surroundings, and what it saw there.

The conformance suite asks. The process runs `stevedore_core.testing.witness <model> <file>`.
"""

import datetime as dt
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from stevedore_core.discovery import load_model
from stevedore_core.testing.answers import answers_of
from stevedore_core.testing.surroundings import watched

__all__ = ["Told", "main", "witness"]

Told = Mapping[str, Any]
"""What a witness says: what was `done` by loading, and the `answers` of two Predictors."""

_LATER_S: Final = 3_000_000.0
"""How much later it is for the model: not a whole number of days or weeks."""

_OF_IMPORTS: Final = (
    "the environment",
    "the filters of warnings",
    "the garbage collector",
    "the numbers that `random` draws",
)
"""What libraries change for all when they are imported, and no model can help."""


def witness(model: str) -> Told:
    """Load a model elsewhere and return what is told of it."""
    with TemporaryDirectory() as place:
        home, file = Path(place, "elsewhere"), Path(place, "told.json")
        (home / "temporary").mkdir(parents=True)
        done = subprocess.run(  # noqa: S603  # our own module
            [sys.executable, "-P", "-W", "ignore", "-m", __name__, model, str(file)],
            cwd=home,
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1",
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": str(home),
                "TMPDIR": str(home / "temporary"),
                "TZ": "Pacific/Chatham",
                "USER": "nobody",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if not file.is_file():
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            return {"done": [f"it ends with: {said[-1]}"], "answers": []}
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        left = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
        told["done"] += [f"it leaves the file `{name}`" for name in left]
        return told


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


@contextmanager
def _later(package: str) -> Iterator[None]:
    """Have the clock show another time, for the package's modules and whoever asks by module."""
    now: Any = time.time
    real: Any = dt.datetime

    class Later(real):  # type: ignore[misc]  # mypy cannot see through the name
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return real.now(tz) + dt.timedelta(seconds=_LATER_S)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(dt.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
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

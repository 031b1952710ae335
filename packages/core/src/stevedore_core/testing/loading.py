"""Loads one model in a process of its own and says what came of it in the last line it prints.

The conformance suite runs it against a changed copy of a model package, which must be the one found
first: `python -m stevedore_core.testing.loading <model> <parent of the copy>`.
"""

import sys
from importlib.metadata import entry_points
from pathlib import Path

from stevedore_core.discovery import load_model
from stevedore_core.errors import PackageError
from stevedore_core.model_package import GROUP

__all__ = ["main"]


def main(model: str, parent: str) -> str:
    """Return `loaded` or the name of the error that loading raised."""
    try:
        load_model(model)
    except PackageError as error:
        outcome = type(error).__name__
    else:
        outcome = "loaded"
    (entry,) = entry_points(group=GROUP, name=model)
    module = sys.modules.get(entry.module)
    if module is None or not Path(str(module.__file__)).is_relative_to(parent):
        return f"`{entry.module}` was not imported from the changed copy"
    return outcome


if __name__ == "__main__":  # pragma: no cover  # in a process of its own
    print(main(*sys.argv[1:]))  # noqa: T201  # the suite reads it

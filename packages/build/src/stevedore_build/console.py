"""What people see while they wait, on standard error. Results go to standard output, by `cli`."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

__all__ = ["notice", "step"]

_WORTH_SAYING_S: Final = 2.0


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that something is under way; say how long it took if that was noticeable."""
    started = time.monotonic()
    with _progress(title):
        yield
    took_s = time.monotonic() - started
    if took_s >= _WORTH_SAYING_S:
        notice(f"{title}: {took_s:.1f} s")


def notice(text: str) -> None:
    """Tell people something that they may want to act on."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - for people


def _progress(title: str) -> AbstractContextManager[object]:
    if not sys.stderr.isatty():
        notice(f"{title} …")
        return nullcontext()
    # Imported here, as it takes longer than most commands that have nothing to wait for.
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    return Console(stderr=True).status(escape(title))

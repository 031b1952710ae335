"""What people see while they wait, on standard error. Results go to standard output, by `cli`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

__all__ = ["notice", "step"]

_CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)
_WORTH_SAYING_S = 2.0


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that something is under way; say how long it took if that was noticeable."""
    started = time.monotonic()
    if not _CONSOLE.is_terminal:
        _CONSOLE.print(f"{escape(title)} …")
        yield
    else:
        with _CONSOLE.status(escape(title)):
            yield
    took_s = time.monotonic() - started
    if took_s >= _WORTH_SAYING_S or _CONSOLE.is_terminal:
        _CONSOLE.print(f"{escape(title)}: {took_s:.1f} s")


def notice(text: str) -> None:
    """Tell people something that they may want to act on."""
    _CONSOLE.print(escape(text))

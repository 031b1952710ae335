"""What people see while they wait, on standard error, and results, on standard output."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

__all__ = ["notice", "say", "step", "transfer"]

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


@contextmanager
def transfer(title: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show how much of a file has arrived; what is given is to be told how many bytes there are."""
    started = time.monotonic()
    if sys.stderr.isatty():
        with _bar(title, total_bytes) as show:
            yield show
    else:
        notice(f"{title} …")
        yield _show_nothing
    notice(f"{title}: {time.monotonic() - started:.1f} s")


@contextmanager
def _bar(title: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    # Imported here, for the same reason as below.
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total_bytes)
        yield lambda arrived_bytes: bar.update(task, completed=arrived_bytes)


def _show_nothing(_: int) -> None:
    """Without a terminal the beginning and the end are told."""


def say(text: str) -> None:
    """Print what a command was asked for."""
    print(text)  # noqa: T201 - a result


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

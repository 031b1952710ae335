"""What goes on beside a test, in threads of its own."""

import threading
from collections.abc import Callable, Iterable
from typing import Self

__all__ = ["Background"]


class Background:
    """Runs from `with` to its end."""

    def __init__(self, runs: Iterable[Callable[[], None]]) -> None:
        """Take what a thread each is to run, until `is_over`."""
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=run) for run in runs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self._threads:
            thread.join()

"""`MemoryWatch`: looks whether the memory of this container is about to run out.

`assemble` makes one, `App` starts it, and the hot path refuses requests by what it found.
"""

import asyncio
import logging

from stevedore_api.cgroup import MemoryBound

__all__ = ["MemoryWatch"]

_log = logging.getLogger(__name__)

_EVERY_S = 0.1
_ENOUGH = 0.95
"""Memory stays short until no more than so much of what made it short is held: it must not flap."""


class MemoryWatch:
    """Whether so much of a bound is held that more may end in a kill."""

    def __init__(self, bound: MemoryBound | None, share: float) -> None:
        """Take the bound, if there is one, and the share of it from which on memory is short."""
        self.is_short = False
        """Looked up for every request, found out ten times a second."""
        self._bound = bound
        self._short_from_bytes = 0 if bound is None else int(share * bound.limit_bytes)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look; there is nothing to see without a bound."""
        if self._bound is not None:
            self._look(self._bound)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, bound: MemoryBound) -> None:
        held = bound.held_bytes()
        enough = _ENOUGH if self.is_short else 1
        is_short = held > enough * self._short_from_bytes
        if is_short != self.is_short:
            self.is_short = is_short
            told = "requests beside others are refused" if is_short else "there is enough again"
            _log.warning("%d of %d bytes are held: %s", held, bound.limit_bytes, told)
        self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._look, bound)

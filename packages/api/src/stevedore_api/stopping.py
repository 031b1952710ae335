"""`StoppableServer`: uvicorn's server with another way to stop. `__main__` runs it.

The first SIGTERM makes the front say that it is not ready; requests that still arrive are served
for a while, for a load balancer needs time to learn of it. Then nothing new is accepted and what
was accepted is finished, as long as the time for that lasts. SIGINT, which comes from a person,
leaves the first part out. A second signal ends everything at once.
"""

import logging
import os
import signal
import threading
import time
from types import FrameType

import uvicorn

from stevedore_api.app import App
from stevedore_api.line_writer import LineWriter

__all__ = ["StoppableServer"]

_log = logging.getLogger(__name__)

_CUT_OFF = 1
"""The exit status where requests may have been lost."""
_GAVE_UP = 1
"""The exit status where nothing can be served."""
_HARD_STOP_S = 2.0
"""Seconds that ending workers and connections may take after all other times are over."""


class StoppableServer(uvicorn.Server):
    """Serves `app` until a signal, or the app, ends it."""

    def __init__(self, config: uvicorn.Config, app: App, lines: LineWriter) -> None:
        """Take what is served, and what the log is written with."""
        super().__init__(config)
        self._lines = lines
        self._app = app
        self._stops_at: float | None = None
        self.exit_status = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's
        """Begin to stop, or stop now (called by Python, between two steps of anything)."""
        if self._stops_at is not None:
            self._cut_off()
        settings = self._app.settings
        delay_s = settings.drain_delay_s if sig == signal.SIGTERM else 0.0
        self._app.drain()
        self._stops_at = time.monotonic() + delay_s
        # Whatever hangs, be it this loop: the process is gone in time.
        timer = threading.Timer(delay_s + settings.drain_s + _HARD_STOP_S, self._cut_off)
        timer.daemon = True
        timer.start()

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to accept no more (called by uvicorn ten times a second)."""
        if self._stops_at is not None and time.monotonic() >= self._stops_at:
            self.should_exit = True
        if self._app.is_hopeless and not self.should_exit:
            _log.error("giving up: no model could be loaded, however often it was tried")
            self.should_exit, self.exit_status = True, _GAVE_UP
        return await super().on_tick(counter)

    def _cut_off(self) -> None:
        _log.error("cut off: what was not answered yet is lost")
        self._app.kill_workers()
        self._lines.close()
        os._exit(_CUT_OFF)

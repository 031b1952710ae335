"""A worker group in this process, with real workers."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from stevedore_api.admission import Admission
from stevedore_api.group import WorkerGroup
from stevedore_api.metrics import Metrics
from stevedore_api.settings import Settings
from stevedore_core.layout import Layout
from stevedore_core.worker_command import WorkerCommand

__all__ = ["in_group", "loaded"]


def in_group(
    layout: Path,
    run: Callable[[WorkerGroup], Awaitable[None]],
    *,
    workers: int = 1,
    **settings: str,
) -> None:
    """Run a group of the model `one` in this process."""

    async def main() -> None:
        paths = Layout(root=layout).worker_path("default", [("one", "1.0.0")])
        read = Settings.read({f"STEVEDORE_{n.upper()}": value for n, value in settings.items()})
        group = WorkerGroup(
            WorkerCommand(
                python=Path(sys.executable), import_path=paths, models=["one"], threads=1
            ),
            name="default",
            workers=workers,
            settings=read,
            models={"one": read},
            admission=Admission({"one": read.max_queued}, read.max_queued_bytes),
            metrics=Metrics(["one"]),
        )
        group.start()
        try:
            await run(group)
        finally:
            await group.stop()

    asyncio.run(main())


async def loaded(group: WorkerGroup, limit_s: float = 20) -> None:
    """Wait until the group has its model."""
    begun = time.monotonic()
    while not group.is_loaded(0):
        assert time.monotonic() - begun < limit_s
        await asyncio.sleep(0.01)

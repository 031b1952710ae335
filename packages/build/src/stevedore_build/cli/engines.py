"""Which container engines a command means. Called by the modules that add commands."""

import argparse
import os

from stevedore_build.console import notice
from stevedore_build.errors import EngineAbsent
from stevedore_build.images.engines import Engine, find_engine

__all__ = ["add_engine_option", "engines_to_test", "one_engine"]


def add_engine_option(command: argparse.ArgumentParser, *, none: bool = False) -> None:
    """Let a command be given an engine, or `none` if it can do without; `ENGINE` is the default."""
    engines = "podman, docker, colima or none" if none else "podman, docker or colima"
    command.add_argument(
        "--engine",
        default=os.environ.get("ENGINE", ""),
        help=f"{engines}; by default the first that works",
    )


def one_engine(wanted: str) -> Engine:
    """Return the wanted engine, or the first that works. Raises `EngineAbsent`."""
    engine = find_engine(wanted)
    if engine is None:
        raise EngineAbsent("`ENGINE=none` has no base and runs nothing: name an engine")
    return engine


def engines_to_test(wanted: str) -> list[Engine]:
    """Return the engines that images are tested in: the wanted one, those listed, or the first."""
    names = [wanted] if wanted else os.environ.get("STEVEDORE_ENGINES", "").split() or [""]
    try:
        found = [find_engine(name) for name in names]
    except EngineAbsent as absent:
        if os.environ.get("STEVEDORE_REQUIRE_ENGINE") == "1":
            raise
        notice(f"images are not tested: {absent}")
        return []
    return [engine for engine in found if engine is not None]

"""The settings that a manifest may give: in `[serve]` for all models, in `[models.<name>]` for one.

`manifest` reads them. What goes before what is up to the front: see `stevedore_api.settings`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from stevedore_core.fields import Fields
from stevedore_core.frames import MAX_FOLLOWING

__all__ = ["AUTO", "FOR_MODELS", "SERVED", "Range", "Setting", "read_settings"]

AUTO: Final = "auto"
"""Stands for as many workers, or threads, as there are cores to use."""

Setting = int | float | str
"""A whole number, seconds, or `auto`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """What a setting may be: a number from `low` to `high`."""

    low: float
    high: float
    is_whole: bool = True
    or_auto: bool = False


_SECONDS = Range(low=0.001, high=86_400, is_whole=False)
_WHOLE_SECONDS = Range(low=1, high=3_600)
_COUNT = Range(low=1, high=1_000_000)
_BYTES = Range(low=1, high=1 << 40)
_SHARE = Range(low=1, high=64, or_auto=True)

SERVED: Final[Mapping[str, Range]] = {
    "call_limit_s": _SECONDS,
    "deadline_s": _SECONDS,
    "drain_delay_s": Range(low=0, high=3_600, is_whole=False),
    "drain_s": _WHOLE_SECONDS,
    "load_limit_s": _SECONDS,
    "max_batch": Range(low=1, high=MAX_FOLLOWING + 1),
    "max_batch_bytes": _BYTES,
    "max_body_bytes": _BYTES,
    "max_queued": _COUNT,
    "max_queued_bytes": _BYTES,
    "max_load_tries": _COUNT,
    "max_worker_rss_bytes": Range(low=0, high=1 << 40),
    "replace_grace_s": _SECONDS,
    "score_interval_s": _SECONDS,
    "score_limit_s": _SECONDS,
    "self_test_interval_s": _SECONDS,
    "self_test_limit_s": _SECONDS,
    "spare_workers": Range(low=0, high=64),
    "threads": _SHARE,
    "workers": _SHARE,
}
"""What `[serve]` may hold beside `readiness`."""

FOR_MODELS: Final = ("call_limit_s", "deadline_s", "max_batch", "max_queued", "workers")
"""Which of them a model may have to itself."""


def read_settings(fields: Fields, names: Iterable[str]) -> dict[str, Setting]:
    """Return those settings of `names` that the table has; what is wrong is noted in `fields`."""
    return {name: _read(fields, name, SERVED[name]) for name in names if fields.has(name)}


def _read(fields: Fields, name: str, allowed: Range) -> Setting:
    if allowed.or_auto and fields.raw(name) == AUTO:
        return AUTO
    if allowed.is_whole:
        other = f", or `{AUTO}`" if allowed.or_auto else ""
        return fields.integer(name, low=int(allowed.low), high=int(allowed.high), other=other)
    return fields.number(name, low=allowed.low, high=allowed.high)

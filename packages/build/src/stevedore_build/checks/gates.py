"""Scores as gates: what a served composition scores, held against its manifest's minimum.

`running` calls it for the layout of a composition, `images.composing` for its image.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Final

from stevedore_build.errors import CheckFailed
from stevedore_core.manifest import Manifest, ModelPin
from stevedore_core.scores import Score, shortfalls

__all__ = ["refuse_low_scores", "refuse_shortfalls"]

_SCORE_LIMIT_S: Final = 120.0
"""The server's own limit on a score is 60 s, and it may have to try twice."""


def refuse_low_scores(url: str, manifest: Manifest) -> None:
    """Raise `CheckFailed` with every score of a served composition that is below its minimum."""
    refuse_shortfalls(
        manifest,
        lambda pin: _scores(f"{url}/models/{pin.name}/versions/{pin.version}/score"),
    )


def refuse_shortfalls(manifest: Manifest, scores: Callable[[ModelPin], Iterable[Score]]) -> None:
    """Do so whatever says the scores of a pinned model."""
    lines = [
        f"`models.{pin.name}.min_score`, of version {pin.version}: {line}"
        for pin in manifest.models
        if pin.min_score
        for line in shortfalls(scores(pin), pin.min_score)
    ]
    if lines:
        listed = "".join(f"\n  {line}" for line in lines)
        raise CheckFailed(
            f"compositions/{manifest.name}/composition.toml: demands more than its models score; "
            f"pin a better version, or demand less:{listed}"
        )


def _scores(url: str) -> Sequence[Score]:
    """Return the scores at `url`, as soon as they are taken."""
    # Imported here, as it takes a third of the time of a command that finds everything passed.
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    give_up = time.monotonic() + _SCORE_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http, ours
                return [Score(**score) for score in json.load(answer)["scores"]]
        except urllib.error.HTTPError as refused:
            said = json.load(refused)["detail"]
            if refused.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > give_up:
                raise CheckFailed(f"no score at {url}: {said}") from None
            time.sleep(0.1)

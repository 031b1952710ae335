"""Scores as gates: what a served composition scores, held against its manifest's minimum.

`checks` calls it for the layout of a composition, `composing` for its image.
"""

import json
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from stevedore_build.errors import CheckFailed
from stevedore_core.manifest import Manifest
from stevedore_core.scores import Score, shortfalls

__all__ = ["refuse_low_scores"]

_SCORE_LIMIT_S: Final = 120.0
"""The server's own limit on a score is 60 s, and it may have to try twice."""


def refuse_low_scores(url: str, manifest: Manifest) -> None:
    """Raise `CheckFailed` with every score of a served composition that is below its minimum."""
    lines = []
    for pin in manifest.models:
        if pin.min_score:
            found = _scores(f"{url}/models/{pin.name}/versions/{pin.version}/score")
            title = f"model `{pin.name}` {pin.version}"
            lines += [f"{title}: {line}" for line in shortfalls(found, pin.min_score)]
    if lines:
        listed = "".join(f"\n  {line}" for line in lines)
        raise CheckFailed(
            f"composition `{manifest.name}` is not as good as its manifest demands by "
            f"`min_score`; pin a better version, or demand less:{listed}"
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

"""Readiness and scores: taken in the background, one model at a time, and only read by routes.

A model is ready while it is loaded and its last self-test passed; after a failure it must pass
twice in a row. The self-test is the packaged examples run by a worker; see
`stevedore_core.self_test`. Where the manifest makes a score a gate, it must be good enough too.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.settings import Settings
from stevedore_core.errors import ScorePending, StevedoreError
from stevedore_core.frames import Kind
from stevedore_core.manifest import Readiness
from stevedore_core.scores import Score, shortfalls
from stevedore_core.strict_json import Json
from stevedore_core.verdicts import PASSED

__all__ = ["Health", "ModelHealth"]

_log = logging.getLogger(__name__)

_PENDING = "self-test-pending"
_SCORE_PENDING = "score-pending"
_SCORE_BELOW_MINIMUM = "score-below-minimum"
_UNREADABLE = "self-test-unreadable"
_PASSES_AFTER_FAILURE = 2


@dataclass(slots=True, kw_only=True)
class ModelHealth:
    """What is known of one model's health; only `Health` changes it."""

    model: ServedModel
    min_score: Mapping[str, float]
    """What its scores must reach for it to be ready."""
    reason: str = _PENDING
    is_passing: bool = False
    """True if it passed its last self-test, and its last two after a failure."""
    passes_needed: int = 1
    tested_at: float | None = None
    """When the last self-test ended, on the monotonic clock."""
    shortfalls: tuple[str, ...] = ()
    scores: Sequence[Score] = ()
    """The latest on the packaged examples; none before the first."""
    scored_at: float | None = None
    score_failure: str | None = None


class Health:
    """The health of every model in the catalogue, by the key it has there."""

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings,
        readiness: Readiness,
        min_scores: Mapping[str, Mapping[str, float]],
    ) -> None:
        """Take the catalogue's models; `min_scores` are by key, for those whose score is a gate."""
        self.models: Mapping[str, ModelHealth] = {
            model.key: ModelHealth(model=model, min_score=min_scores.get(model.key, {}))
            for model in catalogue
        }
        """By key, for whoever shows them."""
        self.is_draining = False
        self._settings = settings
        self._readiness = readiness
        self._started_at = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to test and score each model as soon as it is loaded."""
        for health in self.models.values():
            for keep in (self._keep_testing, self._keep_scoring):
                self._tasks.append(asyncio.get_running_loop().create_task(keep(health)))

    def stop(self) -> None:
        """End all tests."""
        for task in self._tasks:
            task.cancel()

    @property
    def uptime_s(self) -> float:
        """Seconds since this process began to serve."""
        return time.monotonic() - self._started_at

    def reason(self, key: str) -> str:
        """Return a stable code: `passed`, or why the model is not ready."""
        health = self.models[key]
        group, number = health.model.group, health.model.number
        if self.is_draining:
            return "draining"
        if not group.is_loaded(number):
            return group.load_failure(number) or "loading"
        if not health.is_passing:
            return health.reason
        if health.min_score and health.scored_at is None:
            return _SCORE_PENDING
        return _SCORE_BELOW_MINIMUM if health.shortfalls else PASSED

    def is_ready(self, key: str) -> bool:
        """Tell whether a model is loaded and passes its self-test."""
        return self.reason(key) == PASSED

    @property
    def is_all_ready(self) -> bool:
        """Tell whether this process is ready, as the manifest's `[serve] readiness` counts it."""
        ready = map(self.is_ready, self.models)
        return any(ready) if self._readiness == "any" else all(ready)

    def report(self) -> dict[str, Json]:
        """Return for each model whether it is ready, and the reason."""
        reasons = {key: self.reason(key) for key in self.models}
        return {
            key: {"ready": reason == PASSED, "reason": reason} for key, reason in reasons.items()
        }

    def scores(self, key: str) -> dict[str, Json]:
        """Return the latest scores on the packaged examples. Raises `ScorePending` before."""
        health = self.models[key]
        if health.scored_at is None:
            why = health.score_failure
            failed = f"; the last try ended in `{why}`" if why else ""
            raise ScorePending(f"model `{key}` was not scored yet{failed}")
        examples = health.model.said("score_example")
        return {
            "scores": [asdict(score) for score in health.scores],
            "n": len(examples) if isinstance(examples, list) else 1,
            "age_s": round(time.monotonic() - health.scored_at, 3),
        }

    async def _keep_testing(self, health: ModelHealth) -> None:
        await health.model.group.until_loaded(health.model.number)
        while True:
            self._note(health, await self._self_test(health.model))
            await asyncio.sleep(self._settings.self_test_interval_s)

    async def _self_test(self, model: ServedModel) -> str:
        try:
            answer = await model.group.submit_own(
                Kind.SELF_TEST, model.number, limit_s=self._settings.self_test_limit_s
            )
            told = "reason" if answer.kind == Kind.ANSWER else "code"
            return str(orjson.loads(answer.body)[told])
        except StevedoreError as error:
            return f"self-test-{error.code}"
        except Exception:  # noqa: BLE001  # a verdict must not stay because the tests ended
            _log.exception("model `%s`: what the worker says of its self-test", model.key)
            return _UNREADABLE

    def _note(self, health: ModelHealth, reason: str) -> None:
        """Count a verdict in: one failure makes a model not ready, two passes bring it back."""
        was_passing = health.is_passing
        health.tested_at = time.monotonic()
        health.reason = reason
        if reason == PASSED:
            health.passes_needed = max(0, health.passes_needed - 1)
        else:
            health.passes_needed = _PASSES_AFTER_FAILURE
        health.is_passing = health.passes_needed == 0
        if reason == PASSED and not health.is_passing:
            health.reason = "self-test-recovering"
        if was_passing != health.is_passing:
            _log.info("model `%s`: ready=%s (%s)", health.model.key, health.is_passing, reason)

    async def _keep_scoring(self, health: ModelHealth) -> None:
        await health.model.group.until_loaded(health.model.number)
        while True:
            await self._score(health)
            succeeded = health.score_failure is None
            settings = self._settings
            await asyncio.sleep(settings.score_interval_s if succeeded else settings.score_limit_s)

    async def _score(self, health: ModelHealth) -> None:
        model = health.model
        try:
            answer = await model.group.submit_own(
                Kind.SCORE_EXAMPLES, model.number, limit_s=self._settings.score_limit_s
            )
            if answer.kind == Kind.ANSWER:
                health.scores = [Score(**score) for score in orjson.loads(answer.body)]
                health.scored_at = time.monotonic()
                health.score_failure = None
                _hold_to_minimum(health)
            else:
                health.score_failure = str(orjson.loads(answer.body)["code"])
        except StevedoreError as error:
            health.score_failure = error.code
        except Exception:  # noqa: BLE001  # the next score may be readable
            _log.exception("model `%s`: what the worker says of its score", model.key)
            health.score_failure = "score-unreadable"


def _hold_to_minimum(health: ModelHealth) -> None:
    found = shortfalls(health.scores, health.min_score)
    if found != health.shortfalls:
        _log.warning("model `%s`: %s", health.model.key, "; ".join(found) or "scores well again")
    health.shortfalls = found

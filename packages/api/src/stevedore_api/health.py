"""Readiness and scores: taken in the background, one model at a time, and only read by routes.

A model is ready while it is loaded and its last self-test passed; after a failure it must pass
twice in a row. The self-test is the packaged examples run by a worker; see
`stevedore_core.self_test`. Where the manifest makes a score a gate, it must be good enough too.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson

from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.settings import Settings
from stevedore_core.errors import ScorePending, StevedoreError
from stevedore_core.frames import Frame, Kind
from stevedore_core.manifest import Readiness
from stevedore_core.scores import Score, shortfalls
from stevedore_core.strict_json import Json
from stevedore_core.verdicts import PASSED

__all__ = ["Health"]

_log = logging.getLogger(__name__)

_PENDING = "self-test-pending"
_SCORE_PENDING = "score-pending"
_SCORE_BELOW_MINIMUM = "score-below-minimum"
_UNREADABLE = "self-test-unreadable"
_PASSES_AFTER_FAILURE = 2


@dataclass(slots=True)
class _State:
    """What is known of one model's health."""

    reason: str = _PENDING
    is_passing: bool = False
    passes_needed: int = 1
    tested_at: float | None = None
    """When the last self-test ended, on the monotonic clock."""
    min_score: Mapping[str, float] = field(default_factory=dict)
    """What its scores must reach for it to be ready."""
    shortfalls: tuple[str, ...] = ()
    scores: Sequence[Score] | None = None
    scored_at: float = 0.0
    score_failure: str | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


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
        self._catalogue = catalogue
        self._settings = settings
        self._readiness = readiness
        self._states = {
            model.key: _State(min_score=min_scores.get(model.key, {})) for model in catalogue
        }
        self._started_at = time.monotonic()
        self.is_draining = False

    def watch(self, key: str) -> None:
        """Begin to test and score a model that was just loaded, unless that goes on already."""
        state = self._states[key]
        if state.tasks:
            return
        model = self._catalogue.by_key(key)
        loop = asyncio.get_running_loop()
        state.tasks.add(loop.create_task(self._keep_testing(model, state)))
        state.tasks.add(loop.create_task(self._keep_scoring(model, state)))

    def stop(self) -> None:
        """End all tests."""
        for state in self._states.values():
            for task in state.tasks:
                task.cancel()

    @property
    def uptime_s(self) -> float:
        """Seconds since this process began to serve."""
        return time.monotonic() - self._started_at

    def reason(self, key: str) -> str:
        """Return a stable code: `passed`, or why the model is not ready."""
        model = self._catalogue.by_key(key)
        if self.is_draining:
            return "draining"
        if not model.group.is_loaded(key):
            return model.group.load_failure(key) or "loading"
        state = self._states[key]
        if not state.is_passing:
            return state.reason
        if state.min_score and state.scores is None:
            return _SCORE_PENDING
        return _SCORE_BELOW_MINIMUM if state.shortfalls else PASSED

    def is_ready(self, key: str) -> bool:
        """Tell whether a model is loaded and passes its self-test."""
        return self.reason(key) == PASSED

    @property
    def is_all_ready(self) -> bool:
        """Tell whether this process is ready, as the manifest's `[serve] readiness` counts it."""
        ready = (self.is_ready(model.key) for model in self._catalogue)
        return any(ready) if self._readiness == "any" else all(ready)

    def report(self) -> dict[str, Json]:
        """Return for each model whether it is ready, and the reason."""
        reasons = {model.key: self.reason(model.key) for model in self._catalogue}
        return {
            key: {"ready": reason == PASSED, "reason": reason} for key, reason in reasons.items()
        }

    def is_passing(self, key: str) -> bool:
        """Tell whether a model passed its last self-test, and its last two after a failure."""
        return self._states[key].is_passing

    def tested_at(self, key: str) -> float | None:
        """Return when a model's last self-test ended, on the monotonic clock."""
        return self._states[key].tested_at

    def latest_scores(self, key: str) -> Sequence[Score]:
        """Return the latest scores on the packaged examples, none before the first."""
        return self._states[key].scores or ()

    def scores(self, key: str) -> dict[str, Json]:
        """Return the latest scores on the packaged examples. Raises `ScorePending` before."""
        model, state = self._catalogue.by_key(key), self._states[key]
        if state.scores is None:
            failed = (
                f"; the last try ended in `{state.score_failure}`" if state.score_failure else ""
            )
            raise ScorePending(f"model `{key}` was not scored yet{failed}")
        examples = model.said("score_example")
        return {
            "scores": [asdict(score) for score in state.scores],
            "n": len(examples) if isinstance(examples, list) else 1,
            "age_s": round(time.monotonic() - state.scored_at, 3),
        }

    async def _keep_testing(self, model: ServedModel, state: _State) -> None:
        while True:
            reason = await self._self_test(model)
            self._note(model, state, reason)
            await asyncio.sleep(self._settings.self_test_interval_s)

    async def _self_test(self, model: ServedModel) -> str:
        try:
            answer = await model.group.submit_own(
                Kind.SELF_TEST, model.number, limit_s=self._settings.self_test_limit_s
            )
            body = _body(answer)
            return str(body["reason"] if answer.kind == Kind.ANSWER else body["code"])
        except StevedoreError as error:
            return f"self-test-{error.code}"
        except Exception:  # noqa: BLE001  # a verdict must not stay because the tests ended
            _log.exception("model `%s`: what the worker says of its self-test", model.key)
            return _UNREADABLE

    def _note(self, model: ServedModel, state: _State, reason: str) -> None:
        """Count a verdict in: one failure makes a model not ready, two passes bring it back."""
        was_passing = state.is_passing
        state.tested_at = time.monotonic()
        state.reason = reason
        if reason == PASSED:
            state.passes_needed = max(0, state.passes_needed - 1)
        else:
            state.passes_needed = _PASSES_AFTER_FAILURE
        state.is_passing = state.passes_needed == 0
        if reason == PASSED and not state.is_passing:
            state.reason = "self-test-recovering"
        if was_passing != state.is_passing:
            _log.info("model `%s`: ready=%s (%s)", model.key, state.is_passing, reason)

    async def _keep_scoring(self, model: ServedModel, state: _State) -> None:
        while True:
            await self._score(model, state)
            succeeded = state.score_failure is None
            settings = self._settings
            await asyncio.sleep(settings.score_interval_s if succeeded else settings.score_limit_s)

    async def _score(self, model: ServedModel, state: _State) -> None:
        try:
            answer = await model.group.submit_own(
                Kind.SCORE_EXAMPLES, model.number, limit_s=self._settings.score_limit_s
            )
            if answer.kind == Kind.ANSWER:
                scores = [Score(**score) for score in orjson.loads(answer.body)]
                state.scores, state.scored_at = scores, time.monotonic()
                state.score_failure = None
                self._hold_to_minimum(model, state, scores)
            else:
                state.score_failure = str(_body(answer)["code"])
        except StevedoreError as error:
            state.score_failure = error.code
        except Exception:  # noqa: BLE001  # the next score may be readable
            _log.exception("model `%s`: what the worker says of its score", model.key)
            state.score_failure = "score-unreadable"

    def _hold_to_minimum(self, model: ServedModel, state: _State, scores: Sequence[Score]) -> None:
        found = shortfalls(scores, state.min_score)
        if found != state.shortfalls:
            _log.warning("model `%s`: %s", model.key, "; ".join(found) or "scores well again")
        state.shortfalls = found


def _body(answer: Frame) -> Mapping[str, Json]:
    body: Mapping[str, Json] = orjson.loads(answer.body)
    return body

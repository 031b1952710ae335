"""Verdicts, scores, and what they add up to."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from assembled import ScriptedGroup, catalogue_of, frame_of
from served_layout import START_LIMIT_S, MakeLayout, Model, Serve, obedient

from stevedore_api.health import Health
from stevedore_api.settings import Settings
from stevedore_core.errors import DeadlinePassed, ScorePending
from stevedore_core.frames import Frame, Kind
from stevedore_core.manifest import Readiness
from stevedore_core.strict_json import Json

SAID: dict[str, Json] = {"score_example": [1, 2, 3]}
PASSED = frame_of(Kind.ANSWER, {"reason": "passed", "detail": ""})
SCORES = frame_of(Kind.ANSWER, [{"name": "score", "value": 0.5, "direction": "higher"}])

Script = Callable[[Kind], Frame]


def quick() -> Settings:
    """Return settings under which hours pass in milliseconds."""
    names = ("SELF_TEST_INTERVAL_S", "SCORE_INTERVAL_S", "SCORE_LIMIT_S")
    return Settings.read({f"STEVEDORE_{name}": "0.005" for name in names})


def verdicts(*reasons: str) -> Script:
    """Return a script whose self-tests find these, then the last for ever; scores succeed."""
    left: Iterator[str] = iter(reasons)

    def script(kind: Kind) -> Frame:
        if kind == Kind.SCORE_EXAMPLES:
            return SCORES
        reason = next(left, reasons[-1])
        return frame_of(Kind.ANSWER, {"reason": reason, "detail": ""})

    return script


async def reasons_seen(script: Script, until: str, limit_s: float = 5) -> list[str]:
    """Return the reasons that health gave for one model, each change once."""
    group = ScriptedGroup(script)
    health = Health(catalogue_of({"a": SAID}, group), quick(), "all", {})
    seen = [health.reason("a")]
    health.start()
    begun = time.monotonic()
    while time.monotonic() - begun < limit_s:
        await asyncio.sleep(0)
        if (reason := health.reason("a")) != seen[-1]:
            seen.append(reason)
        if reason == until and len(seen) > 1:
            break
    health.stop()
    return seen


def test_a_model_is_ready_after_its_first_pass() -> None:
    """Loaded is not ready: the first self-test makes it so."""
    seen = asyncio.run(reasons_seen(verdicts("passed"), "passed"))
    assert seen == ["self-test-pending", "passed"]


def test_after_a_failure_a_model_must_pass_twice() -> None:
    """One pass after a failure may be luck."""
    script = verdicts("output-not-json", "passed", "predictor-failed", "passed")
    assert asyncio.run(reasons_seen(script, "passed")) == [
        "self-test-pending",
        "output-not-json",
        "self-test-recovering",
        "predictor-failed",
        "self-test-recovering",
        "passed",
    ]


def test_two_passes_are_enough() -> None:
    """The second one in a row after a failure makes a model ready, no further one is awaited."""

    async def asked() -> int:
        group = ScriptedGroup(verdicts("predictor-failed", "passed"))
        health = Health(catalogue_of({"a": SAID}, group), quick(), "all", {})
        health.start()
        begun = time.monotonic()
        while not health.models["a"].is_passing:
            assert time.monotonic() - begun < 5
            await asyncio.sleep(0)
        return group.asked.count(Kind.SELF_TEST)

    assert asyncio.run(asked()) == 3


def test_what_is_told_of_a_model() -> None:
    """Nothing before its first self-test; then when that was, whether it passed, its scores."""

    async def run() -> None:
        group = ScriptedGroup(verdicts("passed"))
        health = Health(catalogue_of({"a": SAID}, group), Settings.read({}), "all", {})
        told = health.models["a"]
        assert (told.is_passing, told.tested_at, told.scores) == (False, None, ())
        begun = time.monotonic()
        health.start()
        await asyncio.sleep(0.02)
        health.stop()
        assert told.is_passing is True
        assert begun <= (told.tested_at or 0) <= time.monotonic()
        assert [(score.name, score.value) for score in told.scores] == [("score", 0.5)]

    asyncio.run(run())


def test_nothing_is_tested_after_the_end() -> None:
    """Whoever stops is not asked of any more."""

    async def asked() -> list[int]:
        group = ScriptedGroup(verdicts("passed"))
        health = Health(catalogue_of({"a": SAID}, group), quick(), "all", {})
        health.start()
        await asyncio.sleep(0.02)
        health.stop()
        counts = [len(group.asked)]
        await asyncio.sleep(0.05)
        return [*counts, len(group.asked)]

    before, after = asyncio.run(asked())
    assert before == after > 0


def test_uptime() -> None:
    """It counts from when health was made."""
    begun = time.monotonic()
    health = Health(catalogue_of({}), Settings.read({}), "all", {})
    time.sleep(0.01)
    assert 0.01 <= health.uptime_s <= time.monotonic() - begun


class HalfLoaded(ScriptedGroup):
    """A group that has the model `a` and no other."""

    def is_loaded(self, number: int) -> bool:
        """Tell."""
        return number == 0


def test_readiness_is_counted_as_the_manifest_says() -> None:
    """One of two models makes a process ready where any is enough, and not where all must be."""

    async def ready(readiness: Readiness) -> bool:
        group = HalfLoaded(verdicts("passed"))
        health = Health(catalogue_of({"a": SAID, "b": SAID}, group), quick(), readiness, {})
        health.start()
        await asyncio.sleep(0.02)
        health.stop()
        return health.is_all_ready

    assert [asyncio.run(ready("any")), asyncio.run(ready("all"))] == [True, False]


def test_changes_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A line when a model becomes ready or stops being so, not one for each verdict."""
    caplog.set_level("INFO")
    script = verdicts("passed", "passed", "predictor-failed", "predictor-failed")
    asyncio.run(reasons_seen(script, "predictor-failed"))
    assert caplog.messages == [
        "model `a`: ready=True (passed)",
        "model `a`: ready=False (predictor-failed)",
    ]


def test_a_self_test_without_answer_is_a_failure() -> None:
    """A self-test over its limit, or a worker that died in it, is told by its error's code."""

    def script(kind: Kind) -> Frame:
        if kind == Kind.SELF_TEST:
            raise DeadlinePassed("the model ran over its limit")
        return SCORES

    until = "self-test-deadline-passed"
    assert asyncio.run(reasons_seen(script, until)) == ["self-test-pending", until]


def test_a_worker_that_refuses_a_self_test() -> None:
    """A refusal's code is the reason."""
    refused = frame_of(Kind.REFUSAL, {"code": "error", "detail": "it is not told"})
    assert asyncio.run(reasons_seen(lambda _: refused, "error"))[-1] == "error"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff"])
def test_an_answer_that_is_no_verdict_is_a_failure(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a worker says of itself, testing goes on: no verdict stays because it ended."""
    answers = iter([PASSED, Frame(0, Kind.ANSWER, 0, body)])

    def script(kind: Kind) -> Frame:
        if kind == Kind.SCORE_EXAMPLES:
            return Frame(0, Kind.ANSWER, 0, b"{}")
        return next(answers, PASSED)

    assert asyncio.run(reasons_seen(script, "self-test-recovering")) == [
        "self-test-pending",
        "passed",
        "self-test-unreadable",
        "self-test-recovering",
    ]
    assert "model `a`: what the worker says of its self-test" in caplog.messages


def test_a_passing_model_that_fails_once_is_not_ready() -> None:
    """Readiness follows the last verdict, at once."""
    seen = asyncio.run(reasons_seen(verdicts("passed", "predictor-failed"), "predictor-failed"))
    assert seen == ["self-test-pending", "passed", "predictor-failed"]


def test_a_model_is_tested_once_it_is_loaded() -> None:
    """Not before, and at once then, whatever the intervals are."""

    async def asked() -> list[list[Kind]]:
        group = ScriptedGroup(verdicts("passed"))
        health = Health(catalogue_of({"a": None}, group), Settings.read({}), "all", {})
        health.start()
        await asyncio.sleep(0.02)
        before = [*group.asked]
        group.heard[0] = SAID
        group.changed.set()
        await asyncio.sleep(0.02)
        health.stop()
        return [before, group.asked]

    assert asyncio.run(asked()) == [[], [Kind.SELF_TEST, Kind.SCORE_EXAMPLES]]


@pytest.mark.parametrize(("failure", "expected"), [(None, "loading"), ("model-broken",) * 2])
def test_a_model_that_is_not_loaded(failure: str | None, expected: str) -> None:
    """It is either still loading, or the error that kept it from loading is told."""
    group = ScriptedGroup(verdicts("passed"), loaded=False, failure=failure)
    health = Health(catalogue_of({"a": None}, group), Settings.read({}), "all", {})
    assert health.report() == {"a": {"ready": False, "reason": expected}}


def test_draining() -> None:
    """A process that is about to stop is not ready, whatever its models are."""

    async def reports() -> list[object]:
        group = ScriptedGroup(verdicts("passed"))
        health = Health(catalogue_of({"a": SAID}, group), quick(), "any", {})
        health.start()
        await asyncio.sleep(0.02)
        seen: list[object] = [health.is_all_ready]
        health.is_draining = True
        health.stop()
        return [*seen, health.is_all_ready, health.reason("a")]

    assert asyncio.run(reports()) == [True, False, "draining"]


def test_scores() -> None:
    """Scores come with the number of examples and their age; before, there are none."""

    async def scores() -> list[dict[str, object]]:
        group = ScriptedGroup(verdicts("passed"))
        models: dict[str, dict[str, Json]] = {"a": SAID, "b": {"score_example": {"x": [1]}}}
        health = Health(catalogue_of(models, group), Settings.read({}), "all", {})
        with pytest.raises(ScorePending) as caught:
            health.scores("a")
        assert str(caught.value) == "model `a` was not scored yet"
        health.start()
        await asyncio.sleep(0.05)
        health.stop()
        return [dict(health.scores(name)) for name in models]

    several, one = asyncio.run(scores())
    assert 0.01 < float(str(several.pop("age_s"))) < 5
    score = {"name": "score", "value": 0.5, "direction": "higher"}
    assert several == {"scores": [score], "n": 3}
    assert one["n"] == 1


def test_a_score_as_gate() -> None:
    """Where the score is a gate, it must be there and good enough; elsewhere it is only shown."""
    values = iter([0.5, 0.7, 0.4])

    def script(kind: Kind) -> Frame:
        if kind == Kind.SELF_TEST:
            return PASSED
        score: Json = {"name": "score", "value": next(values, 0.4), "direction": "higher"}
        return frame_of(Kind.ANSWER, [score])

    async def seen() -> list[str]:
        group = ScriptedGroup(script)
        health = Health(catalogue_of({"a": SAID}, group), quick(), "all", {"a": {"score": 0.6}})
        reasons = [health.reason("a")]
        health.start()
        begun = time.monotonic()
        while len(reasons) < 4 and time.monotonic() - begun < 5:
            await asyncio.sleep(0)
            if (reason := health.reason("a")) != reasons[-1]:
                reasons.append(reason)
        health.stop()
        return reasons

    below = "score-below-minimum"
    assert asyncio.run(seen()) == ["self-test-pending", below, "passed", below]


def test_scores_below_their_minimum_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """All that are, in one line, when it begins and when it ends."""
    values = iter([0.5, 0.5, 0.9, 0.9])

    def script(kind: Kind) -> Frame:
        if kind == Kind.SELF_TEST:
            return PASSED
        value = next(values, 0.9)
        names = ("f1", "recall")
        return frame_of(
            Kind.ANSWER, [{"name": n, "value": value, "direction": "higher"} for n in names]
        )

    minimum = {"f1": 0.6, "recall": 0.7}

    async def run() -> None:
        health = Health(
            catalogue_of({"a": SAID}, ScriptedGroup(script)), quick(), "all", {"a": minimum}
        )
        health.start()
        begun = time.monotonic()
        while len(caplog.messages) < 2:
            assert time.monotonic() - begun < 5
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        health.stop()

    caplog.set_level("WARNING")
    asyncio.run(run())
    first, second = caplog.messages
    assert first == (
        "model `a`: `f1` is 0.5, at least 0.6 is demanded; "
        "`recall` is 0.5, at least 0.7 is demanded"
    )
    assert second == "model `a`: scores well again"


def test_a_gate_waits_for_the_first_score() -> None:
    """A model whose score is a gate is not ready before it was scored."""

    async def report() -> object:
        group = ScriptedGroup(
            lambda kind: PASSED if kind == Kind.SELF_TEST else frame_of(Kind.REFUSAL, {"code": "x"})
        )
        health = Health(catalogue_of({"a": SAID}, group), quick(), "all", {"a": {"score": 0}})
        health.start()
        await asyncio.sleep(0.02)
        health.stop()
        return health.report()

    assert asyncio.run(report()) == {"a": {"ready": False, "reason": "score-pending"}}


def test_a_failed_score_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Until a score succeeds, the reason of the last failure is told; afterwards it is kept."""
    refused = frame_of(Kind.REFUSAL, {"code": "output-not-json", "detail": "…"})
    unreadable = frame_of(Kind.ANSWER, [{"name": "score"}])

    async def run() -> tuple[list[str], object]:
        left: Iterator[Frame | DeadlinePassed] = iter(
            [refused, unreadable, DeadlinePassed("…"), SCORES, refused]
        )

        def script(kind: Kind) -> Frame:
            if kind == Kind.SELF_TEST:
                return PASSED
            step = next(left, refused)
            if isinstance(step, Exception):
                raise step
            return step

        health = Health(catalogue_of({"a": SAID}, ScriptedGroup(script)), quick(), "all", {})
        health.start()
        said: list[str] = []
        begun = time.monotonic()
        while time.monotonic() - begun < 5:
            await asyncio.sleep(0)
            try:
                health.scores("a")
                break
            except ScorePending as error:
                if str(error) not in said:
                    said.append(str(error))
        await asyncio.sleep(0.05)
        health.stop()
        return said, health.scores("a")["scores"]

    said, scores = asyncio.run(run())
    assert said == [
        "model `a` was not scored yet; the last try ended in `output-not-json`",
        "model `a` was not scored yet; the last try ended in `score-unreadable`",
        "model `a` was not scored yet; the last try ended in `deadline-passed`",
    ]
    assert scores == [{"name": "score", "value": 0.5, "direction": "higher"}]
    assert caplog.messages == ["model `a`: what the worker says of its score"]


def test_only_a_failed_score_is_tried_again_soon() -> None:
    """After a failure the limit of a score is waited for, after a success the long interval."""
    refused = frame_of(Kind.REFUSAL, {"code": "output-not-json", "detail": "…"})
    settings = Settings.read(
        {"STEVEDORE_SCORE_LIMIT_S": "0.005", "STEVEDORE_SCORE_INTERVAL_S": "600"}
    )

    async def asked() -> int:
        left = iter([refused, SCORES])

        def script(kind: Kind) -> Frame:
            return PASSED if kind == Kind.SELF_TEST else next(left, SCORES)

        group = ScriptedGroup(script)
        health = Health(catalogue_of({"a": SAID}, group), settings, "all", {})
        health.start()
        await asyncio.sleep(0.05)
        health.stop()
        return group.asked.count(Kind.SCORE_EXAMPLES)

    assert asyncio.run(asked()) == 2


def test_the_age_of_scores_has_milliseconds() -> None:
    """No more digits than it means anything, and no fewer."""

    async def ages() -> list[float]:
        group = ScriptedGroup(verdicts("passed"))
        health = Health(catalogue_of({"a": SAID}, group), Settings.read({}), "all", {})
        health.start()
        await asyncio.sleep(0.01)
        seen = []
        for _ in range(20):
            await asyncio.sleep(0.003)
            seen.append(float(str(health.scores("a")["age_s"])))
        health.stop()
        return seen

    seen = asyncio.run(ages())
    assert seen == [round(age, 3) for age in seen]
    assert seen != [round(age, 2) for age in seen]


def switched(switch: Path) -> str:
    """Return the source of a model whose packaged example fails while the file `switch` exists."""
    changed = f"""
def fails(payload):
    return payload == EXAMPLE and Path({str(switch)!r}).exists()

class Switched(Obedient):
    def convert_prediction_input(self, payload):
        if fails(payload):
            raise RuntimeError("switched off")
        return payload

Obedient = Switched
"""
    before, load, after = obedient("flip").partition("\ndef load()")
    return before + changed + load + after


@pytest.mark.fault("H4")
def test_readiness_follows_the_self_test(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path
) -> None:
    """A model that fails its self-test makes the process not ready, but goes on predicting."""
    switch = tmp_path / "switch"
    layout = make_layout(
        flip=Model(source=switched(switch), workers=1), calm=Model(source=obedient("calm"))
    )
    server = serve(layout, self_test_interval_s="0.1")
    server.wait_until("/readyz")

    switch.touch()
    server.wait_until("/readyz", 503)
    assert server.get("/readyz").json()["detail"] == "Predictor(s) not ready"
    assert server.get("/health/ready?model=flip").json()["detail"] == "NOT_READY"
    verbose = server.get("/readyz?verbose")
    assert verbose.status_code == 503
    assert verbose.json() == {
        "flip": {"ready": False, "reason": "predictor-failed"},
        "calm": {"ready": True, "reason": "passed"},
    }
    assert server.get("/models/flip/readyz?verbose").json() == {
        "flip": {"ready": False, "reason": "predictor-failed"}
    }
    assert server.get("/health").json()["ready"] == {"flip": False, "calm": True}
    for path in ("/livez", "/models/flip/livez", "/models/calm/readyz", "/readyz?model=calm"):
        assert server.get(path).status_code == 200
    assert server.post("/models/flip/predict", {"do": "echo", "value": 1}).json() == 1
    assert "switched off" not in verbose.text
    assert "switched off" in server.errors.read_text()

    switch.unlink()
    server.wait_until("/readyz")
    assert server.get("/models/flip/healthz").json() == "READY"


BROKEN = """
def load():
    raise RuntimeError("no such weights")
"""


@pytest.mark.fault("H4")
@pytest.mark.parametrize("readiness", ["all", "any"])
def test_a_model_that_does_not_load(make_layout: MakeLayout, serve: Serve, readiness: str) -> None:
    """The others answer; whether the process is ready is what the manifest says of it."""
    layout = make_layout(readiness, bad=Model(source=BROKEN), good=Model(source=obedient("good")))
    server = serve(layout)
    server.wait_until("/models/good/readyz")
    status = {"all": 503, "any": 200}[readiness]
    assert server.get("/readyz").status_code == status
    verbose = server.get("/readyz?verbose")
    assert verbose.status_code == status
    assert verbose.json() == {
        "bad": {"ready": False, "reason": "model-broken"},
        "good": {"ready": True, "reason": "passed"},
    }
    assert server.post("/models/good/predict", {"do": "echo", "value": 1}).json() == 1
    for verb in ("predict", "score"):
        refused = server.post(f"/models/bad/{verb}", 1)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["type"] == "urn:ml-py-stevedore:problem:model-not-ready"
        assert refused.json()["detail"] == "model `bad` is not loaded"
    assert "no such weights" not in server.log.read_text()
    assert "no such weights" in server.errors.read_text()


def one_fails(
    make_layout: MakeLayout, serve: Serve, readiness: str, switch: Path
) -> tuple[int, int, str]:
    """Serve five models of which one fails its self-test from the start.

    Returns the status of `/readyz`, how many of the others predict, and why the one is not ready.
    """
    switch.touch()
    calm = {f"calm{number}": Model(source=obedient(f"calm{number}")) for number in range(4)}
    layout = make_layout(readiness, flip=Model(source=switched(switch)), **calm)
    server = serve(layout)
    for name in calm:
        server.wait_until(f"/models/{name}/readyz")
    server.wait_until("/models/flip/version")
    begun, verdict = time.monotonic(), ""
    while verdict != "predictor-failed" and time.monotonic() - begun < START_LIMIT_S:
        verdict = server.get("/readyz?verbose").json()["flip"]["reason"]
    said = {"do": "echo", "value": 1}
    answers = [server.post(f"/models/{name}/predict", said).json() for name in calm]
    return server.get("/readyz").status_code, answers.count(1), verdict


@pytest.mark.fault("H4")
def test_one_of_five_fails_from_the_start(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Not ready, with the model's name and a reason, while the others predict."""
    status, answers, reason = one_fails(make_layout, serve, "all", tmp_path / "switch")
    figure(f"1 of 5 models fails: /readyz {status} ({reason}), {answers} of 4 others predict")
    assert (status, answers, reason) == (503, 4, "predictor-failed")


@pytest.mark.control("H4")
def test_one_of_five_fails_where_any_is_enough(
    make_layout: MakeLayout, serve: Serve, tmp_path: Path
) -> None:
    """A manifest that is content with any model is ready, and the same look says so."""
    found = one_fails(make_layout, serve, "any", tmp_path / "switch")
    assert found == (200, 4, "predictor-failed")

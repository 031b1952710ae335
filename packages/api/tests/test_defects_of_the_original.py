"""Rules that the library this project took its contract from is known to break.

The model here is of that library's form: a class with five methods and its constructor call. What
is tested elsewhere in more depth is only named here by its rule.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import served_layout
from served_layout import Json, Model, Server

from stevedore_core.errors import DocumentInvalid

ORIGINAL = """
import time

import numpy as np

from stevedore_core.predictor import Predictor

ROWS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"x": {"type": "array", "items": {"type": "number"}}},
        "required": ["x"],
    },
}


class Threshold:
    def __init__(self, limit):
        self.limit = limit

    def predict(self, X):
        return X.sum(axis=1) > self.limit


class ThresholdPredictor(Predictor):
    def convert_prediction_input(self, x):
        return np.asarray([row["x"] for row in x], dtype=float)

    def run_predict(self, X):
        if X.size and X.max() > 1000:
            raise RuntimeError("too large")
        if X.size and X.min() < 0:
            time.sleep(-X.min())
        return self.model.predict(X)

    def convert_output(self, res):
        return res.tolist()

    def convert_score_input(self, in_object):
        return self.convert_prediction_input(in_object), np.array([o["y"] for o in in_object])

    def run_scores(self, X, y):
        return float(np.mean(self.model.predict(X) != y))


def load():
    return ThresholdPredictor(
        Threshold(2),
        "threshold",
        [{"x": [1, 2, 3]}],
        ROWS,
        [{"x": [1, 2, 3], "y": True}, {"x": [0, 1, 0], "y": False}],
        ROWS,
    )
"""

FORGETFUL = """
from stevedore_core.predictor import Predictor

class Forgetful(Predictor):
    def convert_prediction_input(self, x):
        return x

    def run_predict(self, X):
        return {OUTPUT}

    def convert_score_input(self, x):
        return x, x

    def run_scores(self, X, y):
        return {SCORE}

def load():
    return Forgetful(None, {NAME}, 1, {}, 1, {})
"""


def forgetful(name: str, output: str, score: str) -> Model:
    """Return a model that returns these."""
    source = FORGETFUL
    for what, value in (("OUTPUT", output), ("SCORE", score), ("NAME", repr(name))):
        source = source.replace("{" + what + "}", value)
    return Model(source=source)


MISSING = """
from stevedore_core.predictor import Predictor

class Missing(Predictor):
    def convert_prediction_input(self, x):
        return x

def load():
    return Missing(None, "missing", 1, {}, 1, {})
"""

NOT_READY = {
    "unencodable": ("object()", "1.0", "output-not-json"),
    "nan": ("float('nan')", "1.0", "output-not-json"),
    "nanscore": ("1", "float('nan')", "output-not-json"),
    "raising": ("{}['x']", "1.0", "predictor-failed"),
    "exiting": ("(_ for _ in ()).throw(SystemExit())", "1.0", "predictor-failed"),
    "badscore": ("1", "'good'", "output-not-json"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model of the original's form, and of models whose self-tests fail."""
    directory = tmp_path_factory.mktemp("original")
    models = {
        "threshold": Model(source=ORIGINAL, workers=1),
        "missing": Model(source=MISSING),
        **{name: forgetful(name, output, score) for name, (output, score, _) in NOT_READY.items()},
    }
    layout = served_layout.write_layout(directory / "layout", "all", models)
    server = served_layout.start_server(
        layout, directory / "server.log", {"self_test_interval_s": "0.2"}
    )
    server.wait_until("/models/threshold/readyz")
    server.wait_until("/models/threshold/score")
    yield server
    server.clean_up()


def test_a_class_of_the_original_form_is_served(server: Server) -> None:
    """The constructor's order, the five methods, the envelope and the bare answers are kept."""
    envelope = {"predictor": "threshold", "payload": [{"x": [1, 2, 3]}, {"x": [0, 0, 0]}]}
    assert server.post("/predict/", envelope).json() == [True, False]
    rows = [{"x": [1, 2, 3], "y": True}, {"x": [1, 2, 3], "y": False}]
    assert server.post("/score/", {"predictor": "threshold", "payload": rows}).json() == 0.5
    assert server.get("/version/?model=threshold").json() == "1.0.0"  # the package's
    assert server.get("/list").json()[0] == "threshold"


def test_invalid_input_is_never_our_fault(server: Server) -> None:
    """A payload that breaks the schema is 422 for predict and score, one that is no JSON 400."""
    payloads: list[Json] = [1, {}, [1], [{"x": "a"}], [{}]]
    for verb in ("predict", "score"):
        for payload in payloads:
            envelope = {"predictor": "threshold", "payload": payload}
            assert server.post(f"/{verb}/", envelope).status_code == 422
            assert server.post(f"/models/threshold/{verb}", payload).status_code == 422
        nan = server.client.post(
            f"/models/threshold/{verb}",
            content=b'[{"x": [NaN]}]',
            headers={"content-type": "application/json"},
        )
        assert nan.status_code == 400


def test_a_score_example_without_its_label_is_told_from_a_crash(server: Server) -> None:
    """What a schema forgets to require fails in the model: a problem in fixed words, no crash."""
    answer = server.post("/models/threshold/score", [{"x": [1, 2, 3]}])
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:ml-py-stevedore:problem:predictor-failed"
    assert answer.json()["detail"] == "model `threshold` failed on this payload"
    assert server.post("/models/threshold/predict", [{"x": [3, 0]}]).json() == [True]


@pytest.mark.parametrize("name", NOT_READY)
def test_a_self_test_can_fail(server: Server, name: str) -> None:
    """No output without a JSON form, no NaN and no exception of any type passes as ready."""
    server.wait_until(f"/models/{name}/readyz", 503)
    begun = time.monotonic()
    while (report := server.get(f"/models/{name}/readyz?verbose")).json() != {
        name: {"ready": False, "reason": NOT_READY[name][2]}
    }:
        assert time.monotonic() - begun < 10, report.text
    assert report.status_code == 503
    assert server.get(f"/health/ready/?model={name}").status_code == 503


def test_no_failing_model_breaks_health_itself(server: Server) -> None:
    """Readiness is 503 and never 500; the summary is 200 and tells them apart."""
    assert server.get("/readyz").status_code == server.get("/healthz").status_code == 503
    summary = server.get("/health")
    assert summary.status_code == 200
    assert summary.json()["ready"] == {
        "threshold": True,
        "missing": False,
        **dict.fromkeys(NOT_READY, False),
    }


def test_a_missing_method_is_named(server: Server) -> None:
    """The log says which method of which class is missing, under the model's name."""
    server.wait_until("/models/missing/readyz", 503)
    begun = time.monotonic()
    while "`Missing` lacks the method `run_predict`" not in server.errors.read_text():
        assert time.monotonic() - begun < 10
    assert "self-test of model `missing` failed" in server.errors.read_text()


def test_a_slow_prediction_delays_no_probe(server: Server) -> None:
    """Liveness and readiness answer at once while a model computes."""
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.post, "/models/threshold/predict", [{"x": [-1.0]}])
        time.sleep(0.1)
        slowest_s = 0.0
        for path in ("/livez", "/readyz?model=threshold", "/health", "/list") * 5:
            begun = time.monotonic()
            assert server.get(path).status_code == 200
            slowest_s = max(slowest_s, time.monotonic() - begun)
        assert not slow.done()
        assert slow.result().json() == [False]
    assert slowest_s < 0.3


def test_a_probe_runs_no_model(server: Server) -> None:
    """However often it is asked, readiness only reads the last verdict."""
    model = "/models/threshold"
    before = server.get(f"{model}/score").json()
    for _ in range(50):
        server.get("/readyz")
    after = server.get(f"{model}/score").json()
    assert after["scores"] == before["scores"]
    assert after["age_s"] > before["age_s"]
    errors = server.errors.read_text()
    for _ in range(50):
        server.get("/models/raising/readyz")
    new = server.errors.read_text().removeprefix(errors)
    assert new.count("self-test of model `raising` failed") < 25


def test_an_unknown_model_is_404(server: Server) -> None:
    """Unknown is not malformed: it is not found."""
    assert server.post("/predict/", {"predictor": "none", "payload": 1}).status_code == 404
    assert server.get("/version/?model=none").status_code == 404


def test_no_route_answers_by_sending_elsewhere(server: Server) -> None:
    """With and without a slash, `/created` beside `/creation_time`, the answer comes at once."""
    for path in ("/health/ready", "/created", "/creation_time", "/version"):
        for spelled in (path, f"{path}/"):
            answer = server.client.get(spelled, params={"model": "threshold"})
            assert answer.status_code == 200
            assert not answer.history


def test_a_body_without_a_content_type_is_415(server: Server) -> None:
    """The answer says which header is missing."""
    answer = server.client.post("/predict/", content=b'{"predictor": "threshold", "payload": []}')
    assert answer.status_code == 415
    assert "`Content-Type: application/json`" in answer.json()["detail"]


def test_nothing_is_written_into_the_layout(server: Server) -> None:
    """Serving leaves no bytecode or other file behind, so a read-only image will do."""
    assert server.post("/models/threshold/predict", [{"x": [1]}]).json() == [False]
    files = [path for path in (server.log.parent / "layout/models").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"METADATA", "__init__.py", "entry_points.txt"}


def test_a_duplicate_name_is_refused_at_start(tmp_path: Path) -> None:
    """Two models of one name would leave open which of them answers."""
    models = {"a-b": Model(source=""), "a_b": Model(source="")}
    with pytest.raises(DocumentInvalid, match="`-` and `_` count as one"):
        served_layout.write_layout(tmp_path / "layout", "all", models)

"""Scores of a served composition, held against the minimum of its manifest."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stevedore_build.checks.gates import refuse_low_scores
from stevedore_build.errors import CheckFailed
from stevedore_core.manifest import Manifest

MANIFEST = Manifest.from_text(
    """
name = "pair"
version = "1.0.0"
python = "3.11"
[models]
iris = { version = ["1.1.0", "1.0.0"], min_score = { accuracy = 0.9, loss = 0.2 } }
digits = "1.0.0"
""",
    file="composition.toml",
)
PENDING = (503, {"detail": "model `iris` was not scored yet"})


def scored(accuracy: float, loss: float) -> tuple[int, object]:
    """Return an answer with two scores."""
    scores = [
        {"name": "accuracy", "value": accuracy, "direction": "higher"},
        {"name": "loss", "value": loss, "direction": "lower"},
    ]
    return 200, {"scores": scores, "n": 10, "age_s": 0.1}


@contextmanager
def served(answers: dict[str, list[tuple[int, object]]]) -> Iterator[str]:
    """Serve the answers to each version's score in their order, the last one for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            prefix, version, suffix = self.path.rsplit("/", 2)
            assert (prefix, suffix) == ("/models/iris/versions", "score")
            left = answers[version]
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_good_enough() -> None:
    """A score that reaches its minimum passes, whenever it is there."""
    answers = {"1.1.0": [PENDING, PENDING, scored(0.9, 0.2)], "1.0.0": [scored(1, 0)]}
    with served(answers) as url:
        refuse_low_scores(url, MANIFEST)


def test_too_low() -> None:
    """All scores that are worse than demanded are told, of every version."""
    answers = {"1.1.0": [scored(0.8, 0.3)], "1.0.0": [scored(0.9, 0.25)]}
    with served(answers) as url, pytest.raises(CheckFailed) as caught:
        refuse_low_scores(url, MANIFEST)
    assert str(caught.value).splitlines() == [
        (
            "compositions/pair/composition.toml: demands more than its models score; "
            "pin a better version, or demand less:"
        ),
        "  `models.iris.min_score`, of version 1.1.0: `accuracy` is 0.8, at least 0.9 is demanded",
        "  `models.iris.min_score`, of version 1.1.0: `loss` is 0.3, at most 0.2 is demanded",
        "  `models.iris.min_score`, of version 1.0.0: `loss` is 0.25, at most 0.2 is demanded",
    ]


def test_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that will not say a score is not passed over, nor asked without a pause."""
    with served({"1.1.0": [(500, {"detail": "broken"})]}) as url:
        with pytest.raises(CheckFailed) as caught:
            refuse_low_scores(url, MANIFEST)
        assert str(caught.value) == f"no score at {url}/models/iris/versions/1.1.0/score: broken"
    monkeypatch.setattr("stevedore_build.checks.gates._SCORE_LIMIT_S", 0.2)
    answers: list[tuple[int, object]] = [PENDING] * 100
    with served({"1.1.0": answers}) as url, pytest.raises(CheckFailed, match="not scored yet"):
        refuse_low_scores(url, MANIFEST)
    assert len(answers) > 95

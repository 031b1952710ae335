"""What `/metrics` shows, read by prometheus_client's own parser."""

import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families
from served_layout import MakeLayout, Model, Serve, Server, obedient

OK = 200


def scrape(server: Server) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return the samples by name and sorted labels. Raises ValueError if they are not valid."""
    answer = server.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            rows = found.setdefault(sample.name, {})
            rows[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def of(samples: Mapping[tuple[tuple[str, str], ...], float], **labels: str) -> float:
    """Return the sum of the samples that have these labels."""
    return sum(v for key, v in samples.items() if labels.items() <= dict(key).items())


@pytest.fixture
def server(make_layout: MakeLayout, serve: Serve) -> Server:
    """A server of `one` and of `own`, which has a worker of its own and a short queue."""
    layout = make_layout(
        one=Model(source=obedient("one")),
        own=Model(source=obedient("own"), workers=1, options=", max_queued = 2"),
    )
    running = serve(layout, deadline_s="1", call_limit_s="3")
    running.wait_until("/readyz")
    running.wait_until_scored()
    return running


def test_what_was_sent_is_what_is_counted(server: Server) -> None:
    """Every request is counted once, under its model, operation and status."""
    before = scrape(server)
    for _ in range(5):
        assert server.post("/models/one/predict", {"do": "echo"}).status_code == 200
    for _ in range(3):
        assert server.post("/models/one/predict", {"do": 1}).status_code == 422
    assert server.post("/models/one/predict", {"do": "raise"}).status_code == 500
    assert server.post("/models/one/score", [1]).status_code == 200
    envelope = {"predictor": "own", "payload": {"do": "echo"}}
    assert server.post("/predict", envelope).status_code == 200
    assert server.post("/predict", envelope | {"predictor": "made-up"}).status_code == 404
    assert server.get("/list").status_code == 200
    after = scrape(server)

    requests = "stevedore_requests_total"
    changes = {
        key: count - before[requests].get(key, 0)
        for key, count in after[requests].items()
        if count != before[requests].get(key, 0)
    }
    assert {tuple(dict(key).values()): count for key, count in changes.items()} == {
        ("one", "predict", "200"): 5,
        ("one", "predict", "422"): 3,
        ("one", "predict", "500"): 1,
        ("one", "score", "200"): 1,
        ("own", "predict", "200"): 1,
        ("", "predict", "404"): 1,
        ("", "other", "200"): 2,  # `/list`, and the `/metrics` before
    }
    assert {tuple(dict(k).values()): n for k, n in after["stevedore_refusals_total"].items()} == {
        ("one", "payload-invalid"): 3,
        ("one", "predictor-failed"): 1,
        ("", "model-unknown"): 1,
    }
    for name in ("request", "queue", "model"):
        assert of(after[f"stevedore_{name}_seconds_count"], model="one") == 10
        assert of(after[f"stevedore_{name}_seconds_count"], model="own") == 1
        assert of(after[f"stevedore_{name}_seconds_bucket"], model="one", le="+Inf") == 10


def test_time_is_split(server: Server) -> None:
    """Waiting and running are told apart, and what waits is seen while it does."""
    with ThreadPoolExecutor(4) as pool:
        call = {"do": "sleep", "value": 0.4}
        calls = [pool.submit(server.post, "/models/own/predict", call) for _ in range(4)]
        time.sleep(0.2)
        during = scrape(server)
        statuses = sorted(future.result().status_code for future in calls)
    after = scrape(server)
    assert statuses in ([200, 200, 429, 504], [200, 200, 200, 429])
    assert of(during["stevedore_queued"], model="own") == 2
    assert of(after["stevedore_queued"]) == 0
    assert of(after["stevedore_queue_seconds_sum"], model="own") > 0.3
    assert of(after["stevedore_model_seconds_sum"], model="own") > 0.7
    assert of(after["stevedore_refusals_total"], model="own", reason="queue-full") == 1
    assert of(after["stevedore_queue_seconds_count"], model="own") == 3


def test_what_becomes_of_workers(server: Server) -> None:
    """Memory is each worker's, and one that died or ran over its limit is counted."""
    found = scrape(server)
    workers = {dict(key)["group"]: count for key, count in found["stevedore_workers"].items()}
    assert workers == {"default": 1, "default:own": 1}
    assert of(found["stevedore_worker_restarts_total"]) == 0
    assert found["stevedore_worker_resident_bytes"].keys() == {
        (("group", "default"), ("worker", "1")),
        (("group", "default:own"), ("worker", "1")),
    }
    assert all(held > 5 << 20 for held in found["stevedore_worker_resident_bytes"].values())
    assert of(found["stevedore_front_resident_bytes"]) > 10 << 20
    pid = server.post("/models/own/predict", {"do": "pid"}).json()
    os.kill(pid, signal.SIGKILL)
    while server.post("/models/own/predict", {"do": "echo"}).status_code != OK:
        pass  # until the replacement has loaded
    server.post("/models/own/predict", {"do": "sleep", "value": 20})
    begun = time.monotonic()
    while not of(scrape(server)["stevedore_worker_restarts_total"], reason="overran"):
        assert time.monotonic() - begun < 10, "the call was not limited"
    assert {
        tuple(dict(key).values()): count
        for key, count in scrape(server)["stevedore_worker_restarts_total"].items()
    } == {
        ("default", "died"): 0,
        ("default", "overran"): 0,
        ("default", "recycled"): 0,
        ("default:own", "died"): 1,
        ("default:own", "overran"): 1,
        ("default:own", "recycled"): 0,
    }


def test_what_is_served(server: Server) -> None:
    """Models, their health and their scores are those of the other routes."""
    found = scrape(server)
    said = server.get("/composition").json()
    (composition,) = found["stevedore_composition_info"]
    assert dict(composition) == {k: said[k] for k in ("name", "version", "lock_sha256")}
    infos = [dict(labels) for labels in found["stevedore_model_info"]]
    assert infos == [
        {
            "model": model["name"],
            **{key: model[key] for key in ("name", "version", "environment", "sha256")},
        }
        for model in said["models"]
    ]
    for model in ("one", "own"):
        assert of(found["stevedore_ready"], model=model) == 1
        assert of(found["stevedore_self_test_passed"], model=model) == 1
        assert 0 <= of(found["stevedore_self_test_age_seconds"], model=model) < 15
        scores = {
            (labels["score"], labels["direction"]): value
            for key, value in found["stevedore_score"].items()
            if (labels := dict(key))["model"] == model
        }
        assert scores == {("accuracy", "higher"): 0.5, ("loss", "lower"): 2.0}
    assert of(found["stevedore_uptime_seconds"]) > 0


def test_callers_make_no_labels(server: Server) -> None:
    """However many names, paths and methods are tried, the number of samples stays."""

    def count() -> int:
        found = scrape(server)
        return sum(len(rows) for rows in found.values())

    def attack(number: int) -> None:
        server.post(f"/models/x{number}/predict", {})
        server.post("/predict", {"predictor": f"x{number}", "payload": 1})
        server.client.request(f"M{number}", f"/x{number}")

    attack(0)
    before = count()
    for number in range(1, 30):
        attack(number)
    assert count() == before

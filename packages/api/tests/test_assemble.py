"""What a manifest says of serving, seen in a server."""

from pathlib import Path

import pytest
from served_layout import Model, Serve, Server, obedient, write_layout


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A layout in which every source of a setting says something."""
    models = {
        "hasty": Model(source=obedient("hasty"), workers=1, options=", deadline_s = 0.2"),
        "one": Model(source=obedient("one")),
        "two": Model(source=obedient("two"), options=", deadline_s = 0.6"),
    }
    settings = "workers = 2\ndeadline_s = 0.2\nmax_body_bytes = 99"
    return write_layout(tmp_path / "layout", "all", models, serve=settings)


def status(server: Server, model: str, sleep_s: float) -> int:
    """Return how the server answers a call that takes so long."""
    return server.post(f"/models/{model}/predict", {"do": "sleep", "value": sleep_s}).status_code


def workers(server: Server) -> int:
    """Return how many workers the server has."""
    front = server.process.pid
    return len(Path(f"/proc/{front}/task/{front}/children").read_text().split())


def test_a_table_of_a_model_goes_before_that_of_all(layout: Path, serve: Serve) -> None:
    """A model's deadline and workers are its own if it says so, else those of `[serve]`."""
    server = serve(layout)
    server.wait_until("/readyz")
    assert [status(server, name, 0.4) for name in ("hasty", "one", "two")] == [504, 504, 200]
    body = {"do": "echo", "value": "x" * 99}
    assert server.post("/models/one/predict", body).status_code == 413
    assert workers(server) == 1 + 2


def test_a_variable_goes_before_both(layout: Path, serve: Serve) -> None:
    """Who runs the server has the last word."""
    server = serve(layout, deadline_s="5", max_body_bytes="1000", workers="1", threads="3")
    server.wait_until("/readyz")
    assert [status(server, name, 0.4) for name in ("hasty", "one", "two")] == [200, 200, 200]
    environ = server.post("/models/one/predict", {"do": "environ"}).json()
    assert environ["OMP_NUM_THREADS"] == "3"
    assert workers(server) == 1 + 1

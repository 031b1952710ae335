"""Fixtures: layouts with small models, and servers on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import served_layout
from served_layout import MakeLayout, Model, Serve, Server, obedient


@pytest.fixture
def make_layout(tmp_path: Path) -> MakeLayout:
    """Write a layout that holds the given models."""

    def make(readiness: str = "all", **models: Model) -> Path:
        return served_layout.write_layout(tmp_path / "layout", readiness, models)

    return make


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers; they are gone after the test."""
    servers: list[Server] = []

    def start(layout: Path, **settings: str) -> Server:
        log = tmp_path / f"server-{len(servers)}.log"
        servers.append(served_layout.start_server(layout, log, settings))
        return servers[-1]

    yield start
    for server in servers:
        server.clean_up()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ready server with narrow limits, for tests that leave it as it was.

    The models `one` and `two` share a worker, `own` has two workers of its own.
    """
    directory = tmp_path_factory.mktemp("shared")
    models = {
        "one": Model(source=obedient("one")),
        "two": Model(source=obedient("two")),
        "own": Model(source=obedient("own"), workers=2),
    }
    server = served_layout.start_server(
        served_layout.write_layout(directory / "layout", "all", models),
        directory / "server.log",
        {
            "max_body_bytes": str(1 << 20),
            "max_header_bytes": str(16 << 10),
            "max_headers": "40",
            "header_deadline_s": "1",
            "body_deadline_s": "1",
        },
    )
    server.wait_until("/readyz")
    server.wait_until_scored()
    yield server
    server.clean_up()

"""Fixtures: a layout with small models, and servers on it."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import served_layout
from served_layout import MakeLayout, Model, Serve, Server

from stevedore_core.layout import Layout


@pytest.fixture
def make_layout(tmp_path: Path) -> MakeLayout:
    """Write a layout that holds the given models, whose requirements are this environment's."""

    def make(readiness: str = "all", **models: Model) -> Path:
        layout = Layout(root=tmp_path / "layout")
        served_layout.link_own_packages(layout)
        for environment in {"front", *(model.environment for model in models.values())}:
            served_layout.link(layout.environment(environment), Path(sysconfig.get_path("purelib")))
        for name, model in models.items():
            served_layout.write_model(layout.model(name), name, model.source)
        manifest = served_layout.manifest_of(readiness, models)
        layout.composition.mkdir(parents=True)
        layout.manifest.write_text(manifest.text)
        served_layout.lock_of(manifest, models).write(layout.composition)
        return layout.root

    return make


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers; they are gone after the test."""
    servers: list[Server] = []

    def start(layout: Path, **settings: str) -> Server:
        log = tmp_path / f"server-{len(servers)}.log"
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, Layout(root=layout).front_path())),
            "PYTHONSAFEPATH": "1",
            "STEVEDORE_LAYOUT": str(layout),
            "STEVEDORE_PORT": "0",
            **{f"STEVEDORE_{name.upper()}": value for name, value in settings.items()},
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-S", "-m", "stevedore_api"],
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = Server(process, served_layout.url_of(log, process), log)
        servers.append(server)
        server.wait_until("/livez")
        return server

    yield start
    for server in servers:
        server.client.close()
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()

"""`python -m stevedore_api`: how it starts, what it refuses, what it loads."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import served_layout
from served_layout import MakeLayout, Model, Serve, obedient

import stevedore_api.__main__
from stevedore_api import probe
from stevedore_api.settings import Settings
from stevedore_core.layout import Layout


@pytest.fixture
def layout(make_layout: MakeLayout) -> Path:
    """A layout of the model `one`."""
    return make_layout(one=Model(source=obedient("one")))


def run(layout: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run the front until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-S", *served_layout.measuring(), "-m", "stevedore_api", *arguments],
        env=served_layout.front_environ(layout, settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_settings_that_make_no_sense(layout: Path) -> None:
    """Flags and variables are checked together; all that is wrong is told, and nothing starts."""
    finished = run(layout, "--threads", "0", deadlines="1")
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.splitlines() == [
        "`STEVEDORE_THREADS` is `0`: input should be a whole number from 1 on, or `auto`",
        "`STEVEDORE_DEADLINES` is not a setting; did you mean `STEVEDORE_DEADLINE_S`?",
    ]


def test_a_port_that_is_taken(layout: Path) -> None:
    """The message says which, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = run(layout, f"--port={port}")
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"cannot listen on 127.0.0.1:{port}: Address already in use")
    assert finished.stderr.endswith(
        "; stop what holds the port, or choose another with `STEVEDORE_PORT`\n"
    )


def test_a_layout_that_is_none(layout: Path, tmp_path: Path) -> None:
    """What is missing is named, and so is the setting that led there."""
    finished = run(layout, "--layout", str(tmp_path / "none"))
    assert finished.returncode == 2
    assert finished.stderr == (
        f"`{tmp_path}/none/composition` is not there: `STEVEDORE_LAYOUT` must name the directory "
        "of a layout, which `make serve` makes and serves\n"
    )


def test_a_layout_that_is_not_its_lock(layout: Path) -> None:
    """Every difference between what is installed and the lock is named, and nothing starts."""
    model = Layout(root=layout).model("one", "1.0.0")
    (model / "stevedore_model_one-1.0.0.dist-info").rename(
        model / "stevedore_model_one-1.0.1.dist-info"
    )
    (model / "more-2.0.dist-info").mkdir()
    finished = run(layout)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.splitlines() == [
        (
            f"{layout}: what is installed is not what `sample` 1.0.0 locks; "
            "build it anew from its lock:"
        ),
        "  `models/one/1.0.0`: `more`: not in the lock, 2.0 is installed",
        "  `models/one/1.0.0`: `stevedore-model-one`: 1.0.0 is locked, 1.0.1 is installed",
    ]


def test_help_names_every_flag(layout: Path) -> None:
    """Every setting is a flag, with its default."""
    finished = run(layout, "--help")
    assert finished.returncode == 0
    said = " ".join(finished.stdout.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')} VALUE" in said
        assert f"{field.description} ({field.default})" in said


def test_it_serves_on_ipv6(layout: Path, serve: Serve) -> None:
    """An address with colons is one too."""
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    server = serve(layout, host="::1")
    assert server.url.startswith("http://[::1]:")
    assert server.get("/livez").json() == "LIVE"


def test_the_front_imports_no_library_of_a_model(layout: Path) -> None:
    """It holds what HTTP needs: no numerics, no framework, no parser of forms, no model."""
    assemble = (
        "import stevedore_api.__main__, sys\n"
        "from stevedore_api.access_log import AccessLog\n"
        "from stevedore_api.assemble import assemble\n"
        "from stevedore_api.settings import Settings\n"
        f"assemble(Settings.read({{'STEVEDORE_LAYOUT': {str(layout)!r}}}), AccessLog(print))\n"
        "print(*sys.modules)"
    )
    modules = subprocess.run(
        [sys.executable, "-S", "-c", assemble],
        env=served_layout.front_environ(layout, {}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()
    packages = {module.partition(".")[0] for module in modules}
    assert "stevedore_core" in packages
    ours = {name for name in packages if name.startswith("stevedore")}
    assert ours == {"stevedore_api", "stevedore_core"}
    frameworks = {"sklearn", "onnxruntime", "lightgbm", "skops", "torch", "tensorflow", "xgboost"}
    numerics = {"numpy", "scipy", "pandas", "joblib"}
    forms = {"multipart", "python_multipart"}
    checkers = {"jsonschema", "jsonschema_rs", "pickle5", "pytest", "httpx"}
    assert packages.isdisjoint(frameworks | numerics | forms | checkers)


def test_the_probe(
    layout: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It succeeds only where a ready server answers."""
    server = serve(layout)
    server.wait_until("/readyz")
    port = server.url.rpartition(":")[2]
    monkeypatch.setenv("STEVEDORE_PORT", port)
    assert probe.main() == 0
    server.process.send_signal(19)  # stopped: it accepts, but does not answer
    monkeypatch.setattr(probe, "_TIMEOUT_S", 0.2)
    assert probe.main() == 1
    server.process.send_signal(18)
    server.stop()
    assert probe.main() == 1
    said = capsys.readouterr().err
    assert said.count(f"nothing answers on port {port}: ") == 2


def test_importing_starts_nothing() -> None:
    """Only being run as a program has an effect."""
    for module in (stevedore_api.__main__, probe):
        assert callable(module.main)


@pytest.mark.parametrize(("loads", "status"), [(True, 0), (False, 1)])
def test_the_probe_as_a_program(
    make_layout: MakeLayout,
    serve: Serve,
    loads: bool,  # noqa: FBT001  # a case
    status: int,
) -> None:
    """What an image runs to learn whether it is healthy ends in 0 or 1."""
    source = obedient("one") if loads else "raise ImportError"
    root = make_layout(one=Model(source=source))
    server = serve(root)
    if loads:
        server.wait_until("/readyz")
    finished = subprocess.run(
        [sys.executable, "-S", *served_layout.measuring(), "-m", "stevedore_api.probe"],
        env={
            **served_layout.front_environ(root, {}),
            "STEVEDORE_PORT": server.url.rpartition(":")[2],
        },
        check=False,
    )
    assert finished.returncode == status


def test_the_first_line_says_where(layout: Path, serve: Serve) -> None:
    """Whoever starts it can follow the link; whoever reads lines reads JSON."""
    server = serve(layout)
    first = json.loads(server.log.read_text().splitlines()[0])
    assert first["message"] == f"serving on {server.url}"
    assert os.path.commonpath([server.url, "http://127.0.0.1"]) == "http:"

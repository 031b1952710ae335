"""What is claimed about an image is asked of the image."""

import json
import os
import re
import tarfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath

import httpx
import pytest
from image_under_test import ALONE, IMAGE, READ_ONLY, Container, StartContainer, engine

RIGHTS = {
    "read-only, no capability": [*READ_ONLY, "--cap-drop=all"],
    "no network": ["--network=none"],
    "any user": ["--user=12345:0"],
    "all of it": [
        *READ_ONLY,
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--network=none",
        "--user=12345:0",
    ],
}

PROCESSES = "--ulimit=nproc=4096:4096"
"""As many as an engine may allow that is not allowed any number itself."""
LITTLE_ROOM = [
    "--shm-size=64k",
    "--cpus=1",
    "--pids-limit=64",
    "--ulimit=nofile=256:256",
    PROCESSES,
]


@pytest.mark.parametrize("flags", RIGHTS.values(), ids=RIGHTS)
@pytest.mark.fault("F1")
def test_least_rights(  # noqa: PLR0913, PLR0917  # fixtures
    start_container: StartContainer,
    flags: list[str],
    payloads: dict[str, str],
    predictions: dict[str, str],
    figure: Callable[[str], None],
    scale: Callable[[int, int], int],
) -> None:
    """Every right that can be taken away is not needed: all models answer, as they do alone."""
    container, count = start_container(*flags), scale(20, 1_000)
    assert answers_of(container, payloads, count) == predictions
    assert "Traceback" not in container.log()
    figure(f"{count} predictions of each model as alone, in each of {len(RIGHTS)} containers")


@pytest.mark.fault("F2")
def test_little_room(
    start_container: StartContainer,
    payloads: dict[str, str],
    predictions: dict[str, str],
    figure: Callable[[str], None],
) -> None:
    """Hardly any shared memory, processes or files, and one core, are enough."""
    container = start_container(*LITTLE_ROOM)
    assert answers_of(container, payloads, 10) == predictions
    assert "Traceback" not in container.log()
    figure(f"ready, and predictions as alone, with {' '.join(LITTLE_ROOM)}")


@pytest.mark.control("F1")
@pytest.mark.control("F2")
def test_other_answers_and_errors_are_seen(
    start_container: StartContainer,
    container: Container,
    payloads: dict[str, str],
    predictions: dict[str, str],
) -> None:
    """A payload that is refused has no prediction, a container without a layout no answer."""
    assert answers_of(container, dict.fromkeys(payloads, "{}"), 1) != predictions
    with pytest.raises(AssertionError, match="not ready"):
        start_container("--env=STEVEDORE_LAYOUT=/nothing", limit_s=2)


def answers_of(container: Container, payloads: dict[str, str], count: int) -> dict[str, str]:
    """Return what each model answers so many times, if that is the same each time."""
    return {model: container.predict(model, payload, count) for model, payload in payloads.items()}


def test_own_network(container: Container, predictions: dict[str, str]) -> None:
    """A published port reaches the server from outside."""
    address = engine("port", container.name, "8000/tcp").stdout.splitlines()[0]
    assert httpx.get(f"http://{address}/readyz").json() == "READY"
    assert httpx.get(f"http://{address}/list").json() == [
        name for name in predictions if "@" not in name
    ]


def test_other_port(start_container: StartContainer) -> None:
    """`STEVEDORE_PORT` moves the server, and the probe follows."""
    container = start_container("--env=STEVEDORE_PORT=9000", "--publish=127.0.0.1::9000")
    address = engine("port", container.name, "9000/tcp").stdout.splitlines()[0]
    assert httpx.get(f"http://{address}/readyz").json() == "READY"


def test_stops_when_told(start_container: StartContainer) -> None:
    """SIGTERM to the container's first process ends it by itself, with a last word in the log."""
    container = start_container()
    engine("stop", "--time=20", container.name)
    state = json.loads(engine("inspect", "--format={{json .State}}", container.name).stdout)
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
    assert '"message":"Application shutdown complete."' in container.log()


def test_log_lines(container: Container) -> None:
    """Every line is JSON, and each model's readiness is one."""
    lines = [json.loads(line) for line in container.log().splitlines()]
    found = {line["message"] for line in lines if line["logger"] == "stevedore_api.health"}
    assert {f"model `{model}`: ready=True (passed)" for model in ALONE} <= found


def test_starts_soon_and_stays_small(start_container: StartContainer) -> None:
    """All models are ready 3 s after the start, thrice that if busy; the front is below 80 MiB."""
    container = start_container()
    printed = engine("inspect", "--format={{json .State.StartedAt}}", container.name).stdout
    lines = [json.loads(line) for line in container.log().splitlines()]
    ready_at = max(line["time"] for line in lines if "ready=True" in line["message"])
    began, ready = (datetime.fromisoformat(text) for text in (json.loads(printed), ready_at))
    assert (ready - began).total_seconds() < 3 * 3
    pages = container.inside("-c", "print(open('/proc/1/statm').read().split()[1])").stdout
    assert int(pages) * os.sysconf("SC_PAGE_SIZE") < 80 << 20


def test_first_process(container: Container) -> None:
    """The server is the first process, under a number that is nobody's."""
    read = "import os; print(os.getuid(), os.getgid(), open('/proc/1/cmdline').read().split('\\0'))"
    found = container.inside("-c", read).stdout.split(maxsplit=2)
    assert found[:2] == ["65532", "65532"]
    assert "'-m', 'stevedore_api'" in found[2]


def test_configuration(lock: dict[str, object]) -> None:
    """How a container of the image starts: exactly this."""
    [found] = json.loads(engine("image", "inspect", IMAGE).stdout)
    config = found["Config"]
    python = f"python{lock['python']}"
    second = 1_000_000_000
    assert dict(variable.split("=", 1) for variable in config["Env"]) == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": ":".join(
            f"/opt/stevedore/{part}" for part in ("own/api", "own/core", "environments/front")
        ),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "STEVEDORE_LAYOUT": "/opt/stevedore",
        "STEVEDORE_HOST": "0.0.0.0",  # noqa: S104 - a container's own network
        "STEVEDORE_PORT": "8000",
    }
    assert config["User"] == "65532:65532"
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    assert config["Cmd"] == [python, "-S", "-m", "stevedore_api"]
    assert not config.get("Entrypoint")
    assert not config.get("Volumes")
    # Podman shows the health check beside the configuration, docker in it.
    assert (config.get("Healthcheck") or found.get("Healthcheck")) == {
        "Test": ["CMD", python, "-S", "-m", "stevedore_api.probe"],
        "Interval": 10 * second,
        "Timeout": 5 * second,
        "StartPeriod": 60 * second,
        "Retries": 3,
    }


def test_labels(lock: dict[str, object], container: Container) -> None:
    """The labels say what is inside, as the lock and the server say it."""
    [found] = json.loads(engine("image", "inspect", IMAGE).stdout)
    labels = found["Config"]["Labels"]
    show = "print(open('/opt/stevedore/composition/lock.toml').read(), end='')"
    digest = "import hashlib,sys; print(hashlib.sha256(sys.argv[1].encode()).hexdigest())"
    locked = container.inside("-c", digest, container.inside("-c", show).stdout).stdout.strip()
    content, base = (
        labels.pop("ml-py-stevedore.content"),
        labels.pop("org.opencontainers.image.base.digest"),
    )
    models = lock["models"]
    assert isinstance(models, list)
    assert labels == {
        "org.opencontainers.image.title": lock["name"],
        "org.opencontainers.image.version": lock["version"],
        "org.opencontainers.image.base.name": labels["org.opencontainers.image.base.name"],
        "ml-py-stevedore.lock": f"sha256:{locked}",
        "ml-py-stevedore.models": ",".join(f"{m['name']}={m['version']}" for m in models),
        "ml-py-stevedore.python": lock["python"],
        "ml-py-stevedore.sbom": SBOM,
    }
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in (content, base))


SBOM = "/opt/stevedore/composition/sbom.cdx.json"


def test_bill_of_materials(layers: list[Path]) -> None:
    """It lists every distribution whose RECORD lies in our layers, and no other."""
    records, sbom = set(), None
    for layer in layers:
        with tarfile.open(layer) as archive:
            for entry in archive:
                name = PurePosixPath("/", entry.name)
                if name.name == "RECORD" and name.parent.suffix == ".dist-info":
                    records.add(f"{name.parent}")
                content = archive.extractfile(entry) if f"{name}" == SBOM else None
                sbom = json.load(content) if content else sbom
    assert sbom is not None
    listed = [
        occurrence["location"]
        for component in sbom["components"]
        for occurrence in component["evidence"]["occurrences"]
    ]
    assert sorted(listed) == sorted(records)
    assert len(listed) > len(layers)


UNWANTED = re.compile(
    r"(?:pip|setuptools|wheel|uv|hatchling|pytest|stevedore_build)(?:-[^/]*\.dist-info)?"
    r"|(?:gcc|cc|g\+\+|c\+\+|ld|make|cargo|rustc|git|curl|wget)"
    r"|\.env|\.netrc|\.git|\.pypirc|pip\.conf|id_(?:rsa|dsa|ecdsa|ed25519)|.*\.key|.*\.pth"
)
EXECUTED_ON_LOADING = {".pkl", ".pickle", ".joblib", ".pt"}


def test_layers(layers: list[Path], lock: dict[str, object]) -> None:
    """Our layers hold the layout and nothing else: all of it root's, readable by all."""
    models, environments = lock["models"], lock["environments"]
    assert isinstance(models, list)
    assert isinstance(environments, list)
    assert len(layers) == len(environments) + 1 + len(models) + 1
    for layer in layers:
        with tarfile.open(layer) as archive:
            for entry in archive:
                name = PurePosixPath("/", entry.name)
                assert name.is_relative_to("/opt/stevedore") or f"{name}" == "/opt"
                assert not UNWANTED.fullmatch(name.name), name
                assert name.parts[3:4] != ("models",) or name.suffix not in EXECUTED_ON_LOADING
                assert entry.isdir() or entry.isreg(), name
                expected = {0o755} if entry.isdir() else {0o755, 0o644}
                assert (entry.uid, entry.gid, entry.mtime) == (0, 0, 0), name
                assert entry.mode & 0o7777 in expected, name


def test_builder_is_not_inside(layers: list[Path]) -> None:
    """No file names a directory of the machine that built the image."""
    root = str(Path(__file__).parents[2]).encode()
    for layer in layers:
        with tarfile.open(layer) as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                assert content is None or root not in content.read(), entry.name

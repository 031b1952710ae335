"""A real layout with small models, and a real server on it: what the fixtures hand out."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import stevedore_api
import stevedore_core
from stevedore_core.installed import installed_in
from stevedore_core.layout import Layout
from stevedore_core.lock import Environment, Lock, LockedModel, LockedWheel
from stevedore_core.manifest import Manifest
from stevedore_core.requirements_files import Pin

START_LIMIT_S = 30.0

_SITE = Path(sysconfig.get_path("purelib"))

Json = object


@dataclass(kw_only=True)
class Model:
    """The source of a model package, and the options of its pin."""

    source: str
    """Where it says `"1.0.0"`, every version has its own."""
    versions: Sequence[str] = ("1.0.0",)
    """Each but the first lives in an environment of its own."""
    environment: str = "default"
    workers: int | None = None
    options: str = ""
    """More of the pin's table, as TOML: `, deadline_s = 1`."""


@dataclass
class Server:
    """A running front."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    """Standard output: the front's own lines."""
    errors: Path
    """Standard error: what workers and models write."""
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def get(self, path: str) -> httpx.Response:
        """Send a GET."""
        return self.client.get(path)

    def post(self, path: str, payload: Json) -> httpx.Response:
        """Send a POST with a JSON body."""
        return self.client.post(path, json=payload)

    def wait_until(self, path: str, status: int = 200, limit_s: float = START_LIMIT_S) -> float:
        """Wait until GET `path` answers with `status`; return the seconds it took."""
        begun = time.monotonic()
        while time.monotonic() - begun < limit_s:
            if self.get(path).status_code == status:
                return time.monotonic() - begun
            time.sleep(0.02)
        raise AssertionError(f"{path} was not {status} within {limit_s} s:\n{self.log.read_text()}")

    def wait_until_scored(self) -> None:
        """Wait until every model has scores."""
        self.wait_until("/score")
        while "pending" in str(self.get("/score").json()):
            time.sleep(0.02)

    def lines(self) -> list[dict[str, Json]]:
        """Return the front's log, line by line; a line that is not JSON fails here."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def await_lines(self, count: int, limit_s: float = 10, **fields: Json) -> list[dict[str, Json]]:
        """Return the lines with these fields, once there are so many: answers are sent first."""
        begun = time.monotonic()
        while time.monotonic() - begun < limit_s:
            lines = [line for line in self.lines() if fields.items() <= line.items()]
            if len(lines) >= count:
                return lines
            time.sleep(0.02)
        raise AssertionError(f"{lines}, not {count} lines with {fields}, within {limit_s} s")

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def clean_up(self) -> None:
        """End the server, whatever state it is in."""
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


MakeLayout = Callable[..., Path]
Serve = Callable[..., Server]

OBEDIENT = """
import os, signal, subprocess, sys, time
from pathlib import Path
from stevedore_core.predictor import Predictor

ANY = {"type": "object", "required": ["do"], "properties": {"value": {}, "do": {"type": "string"}}}
FAILURES = {"SystemExit": SystemExit, "KeyError": KeyError}
EXAMPLE = {"do": "echo", "value": [1]}


class Obedient(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        value = X.get("value")
        match X["do"]:
            case "echo":
                return value
            case "sleep":
                time.sleep(value)
                return value
            case "raise":
                raise FAILURES.get(value, ValueError)("secret")
            case "nan":
                return float("nan")
            case "object":
                return object()
            case "signal":
                os.kill(os.getpid(), value)
                time.sleep(5)
            case "print":
                print("printed by the model" * value)
                return value
            case "pid":
                return os.getpid()
            case "note":
                Path(value).write_text("run")
            case "child":
                return subprocess.Popen(["sleep", "60"]).pid
            case "long":
                return "x" * value
            case "environ":
                return dict(os.environ)
            case "path":
                return sys.path

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return {"accuracy": 0.5, "loss": {"value": 2, "direction": "lower"}}


def load():
    return Obedient(None, NAME, EXAMPLE, ANY, [1, 2], {"type": "array"}, "1.0.0")
"""
"""A model whose payload says how it shall behave."""


def obedient(name: str) -> str:
    """Return the source of an obedient model of that name."""
    return OBEDIENT.replace("NAME", repr(name))


def write_layout(root: Path, readiness: str, models: dict[str, Model], *, serve: str = "") -> Path:
    """Write a layout that holds the given models, whose requirements are this environment's.

    `serve` is more of the manifest's `[serve]`, as TOML.
    """
    layout = Layout(root=root)
    _link_own_packages(layout)
    for environment in {"front", *(place for *_, place in _each(models))}:
        _link(layout.environment(environment), _SITE)
    for name, version, model, _ in _each(models):
        source = model.source.replace('"1.0.0"', f'"{version}"')
        _write_model(layout.model(name, version), name, version, source)
    manifest = _manifest_of(readiness, models, serve)
    layout.composition.mkdir(parents=True)
    layout.manifest.write_text(manifest.text)
    _lock_of(manifest, models).write(layout.composition)
    return layout.root


def front_environ(layout: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return the variables of a front on that layout, which takes any free port."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, Layout(root=layout).front_path())),
        "PYTHONSAFEPATH": "1",
        "STEVEDORE_LAYOUT": str(layout),
        "STEVEDORE_PORT": "0",
        "STEVEDORE_DRAIN_DELAY_S": "0",  # nothing sends requests here but the test
        **{f"STEVEDORE_{name.upper()}": value for name, value in settings.items()},
    }


def start_server(
    layout: Path, log: Path, settings: dict[str, str], environ: Mapping[str, str] | None = None
) -> Server:
    """Start a front, with more variables if need be, and wait until it answers."""
    errors = log.with_suffix(".errors")
    with log.open("wb") as output, errors.open("wb") as error_output:
        process = subprocess.Popen(
            [sys.executable, "-S", *measuring(), "-m", "stevedore_api"],
            env=front_environ(layout, settings) | dict(environ or {}),
            stdout=output,
            stderr=error_output,
        )
    try:
        server = Server(process, _url_of(log, errors, process), log, errors)
        server.wait_until("/livez")
    except BaseException:
        process.kill()
        process.wait()
        raise
    return server


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not merely waiting for its parent to notice its end."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it goes while it is read
        return False
    return state != "Z"


def measuring() -> Sequence[str]:
    """Return what makes a front count its lines too, if this run of tests counts them."""
    coverage = sys.modules.get("coverage")
    measured = coverage.Coverage.current() if coverage is not None else None
    if measured is None:
        return ()
    data = Path(str(measured.config.data_file)).absolute()
    source = Path(str(stevedore_api.__file__)).parent
    options = ["run", "--branch", "--parallel-mode", f"--data-file={data}", f"--source={source}"]
    return ("-m", "coverage", *options)


def _url_of(log: Path, errors: Path, process: subprocess.Popen[bytes]) -> str:
    begun = time.monotonic()
    while time.monotonic() - begun < START_LIMIT_S and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("{") and "serving on" in (message := json.loads(line)["message"]):
                return str(message).rsplit(" ", 1)[1]
        time.sleep(0.02)
    raise AssertionError(f"the server did not start:\n{log.read_text()}{errors.read_text()}")


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target, target_is_directory=True)


def _link_own_packages(layout: Layout) -> None:
    for name, package in (("core", stevedore_core), ("api", stevedore_api)):
        place = layout.own(name)
        _link(place / f"stevedore_{name}", Path(str(package.__file__)).parent)
        (place / f"ml_py_stevedore_{name}-0.1.0.dist-info").mkdir()


def _each(models: dict[str, Model]) -> Iterator[tuple[str, str, Model, str]]:
    """Go through name, version, model and environment of all versions of all models."""
    for name, model in models.items():
        for number, version in enumerate(model.versions, start=1):
            place = model.environment if number == 1 else f"{model.environment}-{number}"
            yield name, version, model, place


def _write_model(directory: Path, name: str, version: str, source: str) -> None:
    package = f"stevedore_model_{name}"
    (directory / package).mkdir(parents=True)
    (directory / package / "__init__.py").write_text(source)
    info = directory / f"{package}-{version}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: stevedore-model-{name}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata)
    entry = f"[ml_py_stevedore.models]\n{name} = {package}:load\n"
    (info / "entry_points.txt").write_text(entry)


def _manifest_of(readiness: str, models: dict[str, Model], serve: str) -> Manifest:
    lines = ['name = "sample"', 'version = "1.0.0"', 'python = "3.11"', "", "[models]"]
    for name, model in models.items():
        workers = "" if model.workers is None else f", workers = {model.workers}"
        pin = f"version = {list(model.versions)}{workers}{model.options}"
        if len(model.versions) == 1:
            pin += f', environment = "{model.environment}"'
        lines.append(f"{name} = {{ {pin} }}")
    lines += ["", "[serve]", f'readiness = "{readiness}"', serve, ""]
    return Manifest.from_text("\n".join(lines), file="composition.toml")


def _lock_of(manifest: Manifest, models: dict[str, Model]) -> Lock:
    names = ["front", *dict.fromkeys(place for *_, place in _each(models))]
    pins = tuple(
        Pin(name=name, version=version, marker=None, sha256s=("3" * 64,))
        for name, version in installed_in(_SITE).items()
    )
    return Lock(
        name=manifest.name,
        version=manifest.version,
        python=manifest.python,
        manifest_sha256=manifest.sha256,
        base=None,
        environments=tuple(
            Environment(name=name, inputs_sha256="0" * 64, pins=pins) for name in names
        ),
        wheels=tuple(
            LockedWheel(distribution=f"ml-py-stevedore-{name}", version="0.1.0", sha256="1" * 64)
            for name in ("core", "api")
        ),
        models=tuple(
            LockedModel(
                name=name,
                version=version,
                environment=place,
                distribution=f"stevedore-model-{name}",
                sha256="2" * 64,
                inputs_sha256="2" * 64,
                requires=(),
            )
            for name, version, _, place in _each(models)
        ),
    )

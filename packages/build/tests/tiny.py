"""The smallest repository that can be locked, and the smallest third-party wheels."""

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path

import pytest

from stevedore_build.layouts.joining import make_layout
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.manifest import Manifest

__all__ = [
    "ADDER_ALONE",
    "add_adder",
    "add_model",
    "add_package",
    "commit",
    "install",
    "lay_out",
    "make_adder",
    "make_repository",
    "name_author",
    "offline",
    "pack_installed",
    "track",
    "use_real_core",
    "write",
    "write_wheel",
]

ADDER_ALONE = Manifest.of_model("adder", version="1.0.0", python="3.11")

COMPOSITION = """\
name = "pair"
version = "1.0.0"
python = "3.11"

[models]
iris = "1.0.0"
digits = "1.0.0"
"""

SERVER = '''
"""Answers every request with 200, as a server of compositions would answer `/livez`."""
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'"LIVE"')

port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
'''


_ADDER = '''
"""The model `adder`."""
from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

class Adder(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        return [x + STEP for x in X]

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return {"step": {"value": STEP, "direction": "lower"}}

def load():
    return Adder.from_package(ModelPackage(__name__), None)
'''


def write(file: Path, text: str) -> None:
    """Write a file, and the directories above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def track(root: Path) -> None:
    """Have git track everything that is there."""
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)


def commit(root: Path, message: str = "Change") -> str:
    """Commit everything that is there, and return the commit."""
    track(root)
    who = ["-c", "user.name=tests", "-c", "user.email=tests@tests.invalid"]
    subprocess.run(["git", *who, "commit", "--quiet", "-m", message], cwd=root, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def name_author(root: Path) -> None:
    """Set who commits and tags in a repository, whoever runs the tests."""
    for key, value in (("name", "tests"), ("email", "tests@tests.invalid")):
        subprocess.run(["git", "config", f"user.{key}", value], cwd=root, check=True)


def offline(patch: pytest.MonkeyPatch, *, index: Path, cache: Path) -> None:
    """Let uv see a directory of wheels and nothing else; nothing asks the network."""
    patch.setenv("UV_OFFLINE", "1")
    patch.setenv("UV_FIND_LINKS", str(index))
    patch.setenv("UV_CACHE_DIR", str(cache))


def make_adder(place: Path, patch: pytest.MonkeyPatch, *, kept: Path) -> Workspace:
    """Write a repository with our own core and the model `adder`; uv sees what these require."""
    (place / "index").mkdir()
    offline(patch, index=place / "index", cache=place / "uv-cache")
    workspace = make_repository(place / "repository", kept=kept)
    use_real_core(workspace.root, place / "index")
    add_adder(workspace.root)
    track(workspace.root)
    return workspace


def lay_out(manifest: Manifest, workspace: Workspace) -> Path:
    """Make the layers of a composition, and return the store that has them."""
    lock = lock_manifest(manifest, wheels_of(manifest, workspace=workspace))
    make_layout(manifest, lock, store=workspace.store)
    shutil.rmtree(workspace.store.layouts)  # their links lead to this very store
    return workspace.store.root


def make_repository(root: Path, *, kept: Path | None = None) -> Workspace:
    """Write a repository with core, api, two models and a composition of both; all is tracked.

    Its store has what is `kept`, and nothing without it.
    """
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    write(root / ".gitignore", ".stevedore/\n__pycache__/\n")
    write(root / "pyproject.toml", "[tool.pytest.ini_options]\n")
    write(root / "requirements" / "test.txt", "")
    add_package(root, "core")
    add_package(root, "api", requires=["ml-py-stevedore-core>=0.1"])
    write(root / "packages/api/src/stevedore_api/__main__.py", SERVER)
    add_model(root, "iris")
    add_model(root, "digits")
    write(root / "compositions/pair/composition.toml", COMPOSITION)
    write(root / "compositions/pair/tests/test_pair.py", "def test_pair():\n    assert True\n")
    track(root)
    workspace = Workspace(root=root)
    if kept is not None:
        shutil.copytree(kept, workspace.store.root, symlinks=True)
    return workspace


def add_package(root: Path, folder: str, *, requires: Sequence[str] = ()) -> Path:
    """Write a package under `packages/`."""
    return _add(
        root / "packages" / folder, f"ml-py-stevedore-{folder}", f"stevedore_{folder}", requires
    )


def add_model(
    root: Path, name: str, *, version: str = "1.0.0", requires: Sequence[str] = ()
) -> Path:
    """Write a model package with a test that passes."""
    directory = root / "models" / name
    write(directory / "tests" / f"test_{name}.py", "def test_model():\n    assert True\n")
    return _add(
        directory,
        f"stevedore-model-{name}",
        f"stevedore_model_{name}",
        ["ml-py-stevedore-core", *requires],
        version=version,
        more=f'\n[project.entry-points."ml_py_stevedore.models"]\n'
        f'{name} = "stevedore_model_{name}:load"\n',
    )


def _add(  # noqa: PLR0913 - each is a line of a pyproject
    directory: Path,
    distribution: str,
    import_name: str,
    requires: Sequence[str],
    *,
    version: str = "0.1.0",
    more: str = "",
) -> Path:
    write(
        directory / "pyproject.toml",
        '[build-system]\nrequires = ["hatchling==1.33.0"]\n'
        'build-backend = "hatchling.build"\n\n'
        f'[project]\nname = "{distribution}"\nversion = "{version}"\n'
        f'requires-python = ">=3.11"\ndependencies = {list(requires)!r}\n{more}\n'
        f'[tool.hatch.build.targets.wheel]\npackages = ["src/{import_name}"]\n',
    )
    write(directory / "src" / import_name / "__init__.py", f'"""{distribution}"""\n')
    return directory


def write_wheel(  # noqa: PLR0913 - each is a part of a wheel
    directory: Path,
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
    entry_points: str = "",
    metadata: str = "",
) -> Path:
    """Write a third-party wheel of pure Python; it holds one module of its name by default."""
    info = f"{name}-{version}.dist-info"
    content = dict(files if files is not None else {f"{name}/__init__.py": ""})
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    content[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}{metadata}"
    )
    content[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if entry_points:
        content[f"{info}/entry_points.txt"] = entry_points
    record = "".join(f"{path},{_recorded(text)}\n" for path, text in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return wheel


def install(place: Path, *wheels: Path) -> None:
    """Unpack wheels into one directory, as an installer would."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place)


def use_real_core(root: Path, index: Path) -> None:
    """Put our own core in place of the stand-in, and what it requires into an index of wheels.

    Those wheels are packed from what is installed beside the tests, so that nothing is fetched.
    """
    core = root / "packages/core"
    shutil.rmtree(core)
    source = Path(__file__).parents[2] / "core"
    for part in ("pyproject.toml", "README.md"):
        write(core / part, (source / part).read_text(encoding="utf-8"))
    shutil.copytree(source / "src", core / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("jiter", "jsonschema-rs", "msgspec", "orjson"):
        pack_installed(name, index)


def pack_installed(name: str, index: Path) -> None:
    """Pack an installed distribution into a wheel that claims to fit every platform.

    It is right for this one, where the tests run; a lock must be able to cover the others.
    """
    installed = distribution(name)
    stem = f"{name.replace('-', '_')}-{installed.version}"
    with zipfile.ZipFile(index / f"{stem}-py3-none-any.whl", "w") as archive:
        for entry in installed.files or ():
            if ".." not in entry.parts and entry.suffix != ".pyc":
                archive.write(str(entry.locate()), str(entry))


def add_adder(root: Path, *, version: str = "1.0.0", step: int = 1) -> Path:
    """Write the model `adder`: a real one, which adds `step` to each number of its payload."""
    directory = add_model(root, "adder", version=version)
    package = directory / "src" / "stevedore_model_adder"
    write(package / "__init__.py", _ADDER.replace("STEP", str(step)))
    write(package / "weights" / "weights.toml", "created = 2026-01-31T12:00:00Z\n[sha256]\n")
    write_documents(package)
    write(directory / "CHANGELOG.md", f"# Changelog\n\n## {version}\n\nFirst version.\n")
    return directory


def write_documents(package: Path) -> None:
    """Write schemas and examples of a model whose payloads are arrays of numbers."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "array",
        "items": {"type": "number", "minimum": 0},
    }
    for kind in ("predict", "score"):
        write(package / f"{kind}.schema.json", json.dumps(schema))
        write(package / "examples" / f"{kind}.json", "[1, 2.5]")


def _recorded(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256={digest.rstrip('=')},{len(text.encode())}"

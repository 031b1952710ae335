"""Weights too large for a package, on their way from a file server into layouts, tars and workers.

What runs are real workers with our core; models map their weights into memory.
"""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import file_server
import pytest
import saving
import tiny
from file_server import FileServer, Served

from stevedore_build.errors import FetchFailed
from stevedore_build.images.archives import SavedImage
from stevedore_build.images.documents import Documents
from stevedore_build.images.tars import read_tar
from stevedore_build.images.verifying import verify_saved
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.layouts.joining import make_layout
from stevedore_build.layouts.layers import Layer, layers_of
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.releases.answers import Answer, answers_of
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.fetched_files import FetchedFile
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest
from stevedore_core.weights import WeightsRecord, record_weights

CONTENT = bytes(range(256)) * 4096
PACKAGE = "models/adder/src/stevedore_model_adder"

CODE = '''
"""The model `adder`, which adds what its weights hold at a place, modulo 256."""
import mmap
from stevedore_core.model_package import ModelPackage
from stevedore_core.predictor import Predictor

class Adder(Predictor):
    def convert_prediction_input(self, payload):
        return payload

    def run_predict(self, X):
        sum(self.model[::4096])  # every page is looked at
        return [x + self.model[int(x)] for x in X]

    def convert_score_input(self, payload):
        return payload, payload

    def run_scores(self, X, y):
        return 1.0

def load():
    package = ModelPackage(__name__)
    with package.weights("large.bin").open("rb") as file:
        return Adder.from_package(package, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
'''


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A repository with our core and the model `adder`, whose weights a server has."""

    workspace: Workspace
    server: FileServer
    room: Path

    def serve(self, name: str) -> Path:
        """Return where a file has to be for the server to have it as `/<name>`."""
        file = self.room / name
        self.server.served[f"/{name}"] = Served(file=file)
        return file

    def record(self, name: str) -> FetchedFile:
        """Have the model fetch a served file as `large.bin`."""
        file = self.room / "large.bin"
        file.unlink(missing_ok=True)
        file.hardlink_to(self.room / name)
        fetched = FetchedFile.of(file, url=f"{self.server.url}/{name}")
        weights = self.workspace.root / PACKAGE / "weights"
        created = WeightsRecord.read(weights).created
        record_weights(weights, [], created=datetime.fromisoformat(created), fetched=[fetched])
        tiny.track(self.workspace.root)
        return fetched

    def locked(self, version: str = "1.0.0") -> tuple[Manifest, Lock]:
        """Lock the model alone, as it is now."""
        manifest = Manifest.of_model("adder", version=version, python="3.11")
        return manifest, lock_manifest(manifest, wheels_of(manifest, workspace=self.workspace))

    def layers(self, version: str = "1.0.0") -> dict[str, Layer]:
        """Make the layers of the model alone, by kind and in order."""
        manifest, lock = self.locked(version)
        store = self.workspace.store
        made = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
        return {layer.name.partition("/")[0]: layer for layer in made}


@pytest.fixture(scope="module")
def place(adder_repository: Workspace) -> Iterator[Repository]:
    """The repository; what is made of it is made once."""
    room = adder_repository.root.parent
    (room / "served").mkdir()
    with pytest.MonkeyPatch.context() as patch, file_server.serving() as server:
        patch.setenv("NETRC", str(room / "netrc"))
        repository = Repository(workspace=adder_repository, server=server, room=room / "served")
        repository.serve("model-1").write_bytes(CONTENT)
        yield repository


@pytest.fixture
def repository(place: Repository) -> Repository:
    """The repository with the model as it is at first."""
    tiny.add_adder(place.workspace.root)
    tiny.write(place.workspace.root / PACKAGE / "__init__.py", CODE)
    place.record("model-1")
    return place


def digest_of(tar: Layer, repository: Repository) -> str:
    """Return the digest by which images name a layer."""
    return read_tar(tar, repository.workspace.store).digest


def test_a_worker_finds_them(repository: Repository) -> None:
    """A worker as in production loads the model, which answers from its weights."""
    _, lock = repository.locked()
    found = answers_of(lock, "adder", store=repository.workspace.store, payloads=[[0, 255]])
    assert found.asked == (Answer(prediction=[0, 510]),)


def test_a_layer_of_their_own(repository: Repository) -> None:
    """At the bottom, as it changes least: only the files, under the name the record gives."""
    layers = repository.layers()
    assert list(layers) == ["weights", "environments", "own", "models", "composition"]
    layer = layers["weights"]
    record = WeightsRecord.read(repository.workspace.root / PACKAGE / "weights")
    assert str(layer.target) == f"/opt/stevedore/weights/{record.fetched_digest}"
    assert [path.name for path in layer.directory.rglob("*")] == ["large.bin"]
    assert (layer.directory / "large.bin").read_bytes() == CONTENT


def test_changed_code_leaves_them(repository: Repository) -> None:
    """Neither other code nor another version of the model makes another layer of its weights."""
    before = repository.layers()
    tiny.write(repository.workspace.root / PACKAGE / "__init__.py", f"{CODE}\nMORE = 1\n")
    code = repository.layers()
    project = repository.workspace.root / "models/adder/pyproject.toml"
    project.write_text(project.read_text().replace('version = "1.0.0"', 'version = "1.0.1"'))
    version = repository.layers("1.0.1")
    for after in (code, version):
        changed = [name for name, layer in after.items() if layer.digest != before[name].digest]
        assert changed == ["models", "composition"]
        assert digest_of(after["weights"], repository) == digest_of(before["weights"], repository)
    repository.serve("model-2").write_bytes(CONTENT[::-1])
    repository.record("model-2")
    other = repository.layers("1.0.1")
    assert digest_of(other["weights"], repository) != digest_of(before["weights"], repository)


def test_another_address_changes_the_wheel_alone(repository: Repository) -> None:
    """Weights are known by their content; where they come from is a part of the record."""
    before = repository.layers()
    repository.serve("mirror").write_bytes(CONTENT)
    repository.record("mirror")
    after = repository.layers()
    assert after["weights"] == before["weights"]
    assert after["models"].digest != before["models"].digest


def test_they_are_fetched_again_when_the_store_is_gone(repository: Repository) -> None:
    """The lock's wheel says all that is needed to have them back."""
    before = repository.layers()["weights"]
    kept = repository.workspace.store.weights / "sha256"
    for file in (before.directory / "large.bin", *kept.iterdir()):
        file.unlink()
    before.directory.rmdir()
    asked = len(repository.server.asked)
    again = repository.layers()["weights"]
    assert again == before
    assert len(repository.server.asked) == asked + 1


def test_an_older_version_has_its_own(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Built from git history, a version fetches what its record named; both can ship together."""
    tiny.commit(repository.workspace.root)
    before = repository.layers()
    project = repository.workspace.root / "models/adder/pyproject.toml"
    project.write_text(project.read_text().replace('version = "1.0.0"', 'version = "1.1.0"'))
    repository.serve("model-3").write_bytes(CONTENT[1:])
    repository.record("model-3")
    tiny.commit(repository.workspace.root)
    assert "taken from git history" not in capsys.readouterr().err
    assert repository.layers() == before
    assert "`adder` 1.0.0 is taken from git history" in capsys.readouterr().err
    manifest = Manifest.from_text(
        'name = "both"\nversion = "1.0.0"\npython = "3.11"\n[models]\nadder = ["1.1.0", "1.0.0"]\n',
        file="both",
    )
    lock = lock_manifest(manifest, wheels_of(manifest, workspace=repository.workspace))
    store = repository.workspace.store
    layers = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
    weights = [layer for layer in layers if layer.name.startswith("weights/")]
    assert weights == [repository.layers("1.1.0")["weights"], before["weights"]]


def test_what_is_fetched_is_listed(repository: Repository) -> None:
    """Bill of materials and provenance name file, sha256 and address; the model depends on it."""
    fetched = repository.record("model-1")
    root = repository.workspace.root
    tiny.write(
        root / "compositions/pair/composition.toml",
        'name = "pair"\nversion = "1.0.0"\npython = "3.11"\n[models]\nadder = "1.0.0"\n',
    )
    tiny.track(root)
    manifest = Manifest.parse(root / "compositions/pair/composition.toml")
    wheels = wheels_of(manifest, workspace=repository.workspace)
    lock_manifest(manifest, wheels).write(root / "compositions/pair")
    found = Documents.of("pair", workspace=repository.workspace).files([])
    directory = f"weights/{repository.layers()['weights'].target.name}"
    told: dict[str, Any] = json.loads(found["sbom.cdx.json"])
    (component,) = (c for c in told["components"] if c["type"] != "library")
    assert component == {
        "bom-ref": f"{directory}/large.bin",
        "evidence": {"occurrences": [{"location": f"/opt/stevedore/{directory}/large.bin"}]},
        "externalReferences": [{"type": "distribution", "url": fetched.url}],
        "hashes": [{"alg": "SHA-256", "content": fetched.sha256}],
        "name": "large.bin",
        "properties": [{"name": "ml-py-stevedore:place", "value": directory}],
        "type": "machine-learning-model",
    }
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in told["dependencies"]}
    model = "models/adder/1.0.0/stevedore_model_adder-1.0.0"
    assert needs[model] == ["own/core/ml_py_stevedore_core-0.1.0", component["bom-ref"]]
    statement = json.loads(found["provenance.json"])
    sources = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [entry for entry in sources if entry["name"].startswith("weights/")] == [
        {
            "name": f"{directory}/large.bin",
            "digest": {"sha256": fetched.sha256},
            "uri": fetched.url,
        }
    ]


def test_they_are_verified(repository: Repository, tmp_path: Path) -> None:
    """Made anew in an empty store they are the same; a changed byte in an image is named."""
    manifest, lock = repository.locked()
    store = repository.workspace.store
    layers = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
    draft = saving.draft_of(lock, base=saving.base_of(), layers=layers, store=store)

    def differences() -> tuple[str, ...]:
        saved = SavedImage.read(draft.save(tmp_path / "image.tar"))
        verified = verify_saved(
            saved,
            manifest,
            lock,
            base=saving.base_of(),
            workspace=repository.workspace,
            any_lock=True,
        )
        return verified.differences

    assert differences() == ()

    def flip(entry: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        return entry, content[:-1] + b"x" if entry.isreg() else content

    draft.layers[1] = saving.rewritten(draft.layers[1], flip)
    name, target = layers[0].name, layers[0].target
    assert differences() == (f"layer `{name}`: `{target}/large.bin` differs in content",)


def test_what_is_kept_is_not_trusted(repository: Repository, tmp_path: Path) -> None:
    """Who verifies reads the cache again."""
    manifest, lock = repository.locked()
    store = repository.workspace.store
    layers = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
    draft = saving.draft_of(lock, base=saving.base_of(), layers=layers, store=store)
    saved = SavedImage.read(draft.save(tmp_path / "image.tar"))
    (kept,) = (store.weights / "sha256").glob(repository.record("model-1").sha256)
    kept.unlink()
    kept.write_bytes(CONTENT[::-1])
    try:
        with pytest.raises(FetchFailed, match="the file was changed after it was fetched"):
            verify_saved(
                saved,
                manifest,
                lock,
                base=saving.base_of(),
                workspace=repository.workspace,
                any_lock=True,
            )
    finally:
        kept.unlink()


WORKER = """
import json, sys
from stevedore_core.discovery import load_model
model = load_model("adder")
model.predict([0])
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what processes share")
def test_workers_share_them(repository: Repository) -> None:
    """Two processes that map the same 64 MiB hold them once, also when both looked at every page.

    The control reads them in place of mapping them.
    """
    size_bytes = 64 << 20
    with repository.serve("sparse").open("wb") as file:
        file.truncate(size_bytes)
    repository.record("sparse")
    mapped = held_by_two(repository, "large.bin")
    tiny.write(
        repository.workspace.root / PACKAGE / "__init__.py",
        CODE.replace("mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)", "file.read()"),
    )
    read = held_by_two(repository, "")
    assert size_bytes <= mapped < 1.05 * size_bytes
    assert 2 * size_bytes <= read


def held_by_two(repository: Repository, name: str) -> int:
    """Return what two processes hold that loaded the model: proportional, in bytes.

    Of a mapped file if one is named, else of anything.
    """
    manifest, lock = repository.locked()
    store = repository.workspace.store
    layout = make_layout(manifest, lock, store=store)
    path = layout.worker_path("default", [("adder", "1.0.0")])
    python = find_interpreter("3.11", store=store).program
    environment = {"PYTHONPATH": os.pathsep.join(map(str, path))}
    processes = [
        subprocess.Popen(
            [python, "-S", "-c", WORKER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        return sum(proportional_bytes(process.pid, name) for process in processes)
    finally:
        for process in processes:
            process.communicate()


def proportional_bytes(pid: int, name: str) -> int:
    """Return the sum of the proportional set sizes of a process's mappings of a file."""
    found, counts = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            counts = not name or line.endswith(f"/{name}")
        elif counts and first == "Pss:":
            found += int(rest[0]) << 10
    return found


FETCH = """
import re, sys
from pathlib import Path
from stevedore_build.images.directories import ImageTar
from stevedore_build.layouts.layers import layers_of
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.store import Store
from stevedore_build.images.tars import tar_layer
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest
manifest = Manifest.of_model("adder", version="1.0.0", python="3.11")
store = Store(root=Path(sys.argv[1]))
lock = Lock.read(Path(sys.argv[2]))
layers = layers_of(manifest, lock, store=store, platform=LINUX_AMD64, libraries=None)
print(ImageTar.read(tar_layer(layers[0], store)).path)
CONTROL
# Not `ru_maxrss`, which a process inherits from the one that started it.
print(*re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()))
"""


def test_a_gigabyte_is_never_in_memory(repository: Repository, tmp_path: Path) -> None:
    """From the server through cache and layer into the tar, 1 GB goes by in pieces.

    The control reads the tar, and is seen.
    """
    size_bytes = 1 << 30
    with repository.serve("gigabyte").open("wb") as file:
        file.truncate(size_bytes)
    repository.record("gigabyte")
    _, lock = repository.locked()
    lock.write(tmp_path)
    tar, held_bytes = fetched_and_packed(repository, tmp_path, control="")
    assert tar.stat().st_size > size_bytes
    assert held_bytes < 128 << 20
    _, held_bytes = fetched_and_packed(
        repository, tmp_path, control="tar_layer(layers[0], store).read_bytes()"
    )
    assert held_bytes > size_bytes
    tar.unlink()


def fetched_and_packed(repository: Repository, lock: Path, *, control: str) -> tuple[Path, int]:
    """Make the layers of a lock and the tar of the first in a process; return how much it held."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            FETCH.replace("CONTROL", control),
            repository.workspace.store.root,
            lock,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    tar, held_kib = done.stdout.split()
    return Path(tar), int(held_kib) << 10

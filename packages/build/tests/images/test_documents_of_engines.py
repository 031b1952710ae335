"""What an engine built: its documents tell of it, and no secret is in it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import canaries
import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.images.building import image_name
from stevedore_build.images.documents import Documents
from stevedore_build.images.engines import Engine
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock

MakeImage = Callable[[dict[str, bytes]], str]

AMD64_PROGRAM = b"\x7fELF" + bytes(14) + b"\x3e\x00" + bytes(40)
BASE = {
    "usr/bin/python3.11": AMD64_PROGRAM,
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"",
    "canary-in-the-base": b"canary-in-the-base",
}


@pytest.fixture
def lock(
    engine: Engine,
    workspace: Workspace,
    index: Path,
    make_image: MakeImage,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lock]:
    """The lock of a composition on a base that passes its checks; its image is gone afterwards."""
    tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    manifest = workspace.composition("pair") / "composition.toml"
    text = manifest.read_text().replace('"pair"', '"documented"')
    tiny.write(
        workspace.root / "compositions" / "documented" / "composition.toml",
        f'{text}\n[image]\nbase = "{make_image(BASE)}"\n',
    )
    tiny.track(workspace.root)
    monkeypatch.chdir(workspace.root)
    assert main(["lock", "documented"]) == 0
    lock = Lock.read(workspace.composition("documented"))
    yield lock
    engine.run("rmi", "--force", image_name(lock, engine))


@pytest.mark.fault("G14")
def test_documents_of_an_image(
    engine: Engine,
    workspace: Workspace,
    lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Provenance names the image; no secret is in its layers, its history and its labels."""
    planted = canaries.plant(workspace.root, tmp_path / "home", monkeypatch)
    found = Documents.of("documented", workspace=workspace).files([engine])
    reference = image_name(lock, engine)
    identity = engine.find_image(reference) or ""
    subjects = json.loads(found["provenance.json"])["subject"]
    told = {entry["name"]: f"sha256:{entry['digest']['sha256']}" for entry in subjects}
    assert told[f"{engine.name}/{reference}"] == identity
    assert tuple(told.values())[1:] == engine.layers(identity)
    assert list(told)[-1] == f"{engine.name}/{reference}/composition"
    saved = tmp_path / "image.tar"
    engine.run("save", "--output", str(saved), reference)
    content = {"image": saved.read_bytes(), **found}
    assert canaries.spilt(planted, content) == []
    # What is in it is found: layers are saved as they are.
    assert canaries.spilt(["canary-in-the-base"], content) == ["canary-in-the-base in image"]
    assert main(["verify", "documented", "--engine", engine.name]) == 0


@pytest.mark.usefixtures("lock")
def test_verify_says_what_differs(
    engine: Engine,
    workspace: Workspace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command ends with 1 and names it."""
    assert main(["image", "documented", "--engine", engine.name]) == 0
    reference = capsys.readouterr().out.strip()
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / "Containerfile").write_text(f'FROM {reference}\nENV PATH="/evil"\n')
    other = engine.build(tmp_path / "changed")
    try:
        assert main(["verify", other, "--engine", engine.name]) == 1
        assert capsys.readouterr().err.splitlines()[-2:] == [
            "configuration: `Env PATH`: expected `/usr/local/bin:/usr/bin:/bin`, found `/evil`",
            f"error: {other} is not what its lock gives",
        ]
    finally:
        engine.run("rmi", "--force", other)
    assert list(workspace.store.drafts.iterdir()) == []

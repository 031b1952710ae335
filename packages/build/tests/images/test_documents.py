"""What goes beside an image says what it was made of, and nothing about where."""

import getpass
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import canaries
import pytest
import tiny

from stevedore_build.cli.program import main
from stevedore_build.images.composing import compose_context
from stevedore_build.images.documents import Documents
from stevedore_build.inventory.provenance import BuiltImage, Commit, provenance_of
from stevedore_build.platforms import LINUX_AMD64
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock

Figure = Callable[[str], None]


@pytest.fixture
def rich(workspace: Workspace, index: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A repository with a locked composition of three licences."""
    monkeypatch.chdir(workspace.root)
    text = "Classifier: License :: OSI Approved :: BSD License\nLicense: long ago\n"
    files = {"alpha/__init__.py": "", "alpha-1.0.dist-info/licenses/COPYING": "Do as you like"}
    tiny.write_wheel(index, "alpha", files=files, metadata="License-Expression: MIT\n")
    tiny.write_wheel(index, "beta", metadata=text)
    tiny.write_wheel(index, "gamma", metadata="License: Public domain\n")
    tiny.write_wheel(index, "delta", metadata=f"License: {'word ' * 30}\n")
    tiny.add_model(workspace.root, "iris", requires=["alpha", "beta", "gamma", "delta"])
    return workspace


def lock(workspace: Workspace) -> None:
    """Lock what the workspace has now."""
    tiny.track(workspace.root)
    assert main(["lock", "pair"]) == 0


def test_licences(rich: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Expressions come first, then classifiers, then a short name; none is guessed."""
    lock(rich)
    capsys.readouterr()
    assert Documents.of("pair", workspace=rich).licences() == (
        "Licences of what `pair` 1.0.0 for linux/amd64 ships, as each distribution states them\n"
        "\n"
        "environments/default: alpha 1.0: MIT\n"
        "    /opt/stevedore/environments/default/alpha-1.0.dist-info/licenses/COPYING\n"
        "environments/default: beta 1.0: BSD License\n"
        "environments/default: delta 1.0: unknown\n"
        "environments/default: gamma 1.0: Public domain\n"
        "own/api: ml-py-stevedore-api 0.1.0: unknown\n"
        "own/core: ml-py-stevedore-core 0.1.0: unknown\n"
        "models/iris/1.0.0: stevedore-model-iris 1.0.0: unknown\n"
        "models/digits/1.0.0: stevedore-model-digits 1.0.0: unknown\n"
    )
    assert capsys.readouterr().err.splitlines()[-1] == (
        "the licence is unknown, as the metadata states none, of `delta` 1.0, "
        "`ml-py-stevedore-api` 0.1.0, `ml-py-stevedore-core` 0.1.0, `stevedore-model-digits` "
        "1.0.0, `stevedore-model-iris` 1.0.0"
    )


def test_documents(rich: Workspace) -> None:
    """The lock as it is committed, and three that tell of it; the same when asked again."""
    lock(rich)
    tiny.commit(rich.root)
    found = Documents.of("pair", workspace=rich).files([])
    assert sorted(found) == [
        *("composition.toml", "licences.txt", "lock.toml", "lock/default.txt", "lock/front.txt"),
        *("provenance.json", "sbom.cdx.json"),
    ]
    directory = rich.composition("pair")
    for file in ("composition.toml", "lock.toml", "lock/default.txt", "lock/front.txt"):
        assert found[file] == (directory / file).read_bytes()
    assert Documents.of("pair", workspace=rich).files([]) == found


def test_provenance(rich: Workspace) -> None:
    """The images and what went into them, by digest."""
    lock(rich)
    locked = Lock.read(rich.composition("pair"))
    image = BuiltImage(
        engine="podman",
        reference="localhost/pair:1.0.0",
        identity="sha256:" + "1" * 64,
        layers=(("base/1", "sha256:" + "2" * 64),),
        base="slim:1",
        base_identity="sha256:" + "3" * 64,
        content="sha256:" + "4" * 64,
    )
    text = provenance_of(
        locked,
        [],
        [image],
        platform=LINUX_AMD64,
        commit=Commit(identity="c" * 40, has_changes=True),
    )
    assert json.loads(text) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "podman/localhost/pair:1.0.0", "digest": {"sha256": "1" * 64}},
            {"name": "podman/localhost/pair:1.0.0/base/1", "digest": {"sha256": "2" * 64}},
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:ml-py-stevedore:image:v1",
                "externalParameters": {
                    "composition": "pair",
                    "version": "1.0.0",
                    "platform": "linux/amd64",
                    "engines": ["podman"],
                },
                "internalParameters": {"lock": f"sha256:{locked.digest}", "python": "3.11"},
                "resolvedDependencies": [
                    {"name": "composition.toml", "digest": {"sha256": locked.manifest_sha256}},
                    {"name": "lock.toml", "digest": {"sha256": locked.digest}},
                    *(
                        {"name": f"lock/{one.name}.txt", "digest": {"sha256": one.sha256}}
                        for one in locked.environments
                    ),
                    {
                        "name": "slim:1",
                        "digest": {"sha256": "3" * 64},
                        "annotations": {"engine": "podman"},
                    },
                    {
                        "name": "source",
                        "digest": {"gitCommit": "c" * 40},
                        "annotations": {"uncommittedChanges": True},
                    },
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:ml-py-stevedore:builder:local"},
                "metadata": {"invocationId": "sha256:" + "4" * 64},
            },
        },
    }


def dependencies(text: bytes) -> dict[str, Any]:
    """Return what a provenance says went in, by name."""
    found = json.loads(text)["predicate"]["buildDefinition"]["resolvedDependencies"]
    return {entry["name"]: entry for entry in found}


def test_provenance_of_wheels(rich: Workspace) -> None:
    """Every wheel is there; where the lock allows several, that is what is said."""
    lock(rich)
    told = dependencies(Documents.of("pair", workspace=rich).files([])["provenance.json"])
    locked = Lock.read(rich.composition("pair"))
    assert "source" not in told
    for pin in locked.environment("default").pins:
        assert told[f"environments/default/{pin.name}"] == {
            "name": f"environments/default/{pin.name}",
            "uri": f"pkg:pypi/{pin.name}@1.0",
            "digest": {"sha256": pin.sha256s[0]},
        }
    assert told["models/iris/1.0.0/stevedore-model-iris"]["digest"] == {
        "sha256": locked.model("iris").sha256
    }
    commit = tiny.commit(rich.root)
    again = dependencies(Documents.of("pair", workspace=rich).files([])["provenance.json"])
    assert again["source"] == {"name": "source", "digest": {"gitCommit": commit}}


def test_commands(rich: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line prints them."""
    lock(rich)
    found = Documents.of("pair", workspace=rich).files([])
    capsys.readouterr()
    assert main(["sbom", "pair"]) == 0
    assert capsys.readouterr().out.encode() == found["sbom.cdx.json"]
    assert main(["licences", "pair"]) == 0
    assert capsys.readouterr().out.encode() == found["licences.txt"]


def shipped(workspace: Workspace) -> dict[str, bytes]:
    """Return all that leaves the machine, without an engine: the context and the documents."""
    context = compose_context("pair", workspace=workspace)
    places = {path.name: path.read_bytes() for path in context.iterdir()}
    return places | dict(Documents.of("pair", workspace=workspace).files([]))


@pytest.mark.fault("G14")
def test_secrets_stay(
    rich: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    """Of twelve secrets in files, in the home and in variables none is in what is shipped."""
    planted = canaries.plant(rich.root, tmp_path / "home", monkeypatch)
    lock(rich)
    found = canaries.spilt(planted, shipped(rich))
    assert len(planted) == 12
    assert found == []
    figure(f"{len(found)} of {len(planted)} in layers, Containerfile and documents")


@pytest.mark.control("G14")
def test_secret_in_a_package_is_found(rich: Workspace) -> None:
    """The search finds a secret that is shipped: in the source and in its bytecode."""
    canaries.plant_in_package(rich.root)
    lock(rich)
    found = canaries.spilt([canaries.FOUND_IN_PACKAGE], shipped(rich))
    assert len(found) == 1
    assert found[0].endswith(".tar")


def test_nothing_about_the_machine(rich: Workspace, tmp_path: Path) -> None:
    """No path, no host and no user of the machine that built."""
    lock(rich)
    told = [str(tmp_path), socket.gethostname(), f"/{getpass.getuser()}"]
    assert canaries.spilt(told, Documents.of("pair", workspace=rich).files([])) == []

"""From a manifest to a lock, and whether a lock is fresh."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from stevedore_build.errors import LockStale, ResolutionFailed, WorkspaceInvalid
from stevedore_build.locks.locking import differences, lock_manifest, refuse_stale
from stevedore_build.wheels.building import OwnWheels
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

HEAD = 'name = "pair"\nversion = "1.0.0"\npython = "3.11"\n\n[models]\n'


def manifest(models: str = 'iris = "1.0.0"\ndigits = "1.0.0"\n') -> Manifest:
    """Return a manifest with these lines under `[models]`."""
    return Manifest.from_text(HEAD + models, file="composition.toml")


def lock(workspace: Workspace, asked: Manifest, previous: Lock | None = None) -> Lock:
    """Lock a manifest."""
    return lock_manifest(asked, wheels(workspace, asked), previous=previous)


def wheels(workspace: Workspace, asked: Manifest) -> OwnWheels:
    """Build what a manifest needs."""
    tiny.track(workspace.root)
    return wheels_of(asked, workspace=workspace)


def names(locked: Lock) -> dict[str, list[str]]:
    """Return what each environment of a lock pins."""
    return {e.name: [f"{p.name} {p.version}" for p in e.pins] for e in locked.environments}


def test_one_environment(workspace: Workspace, index: Path) -> None:
    """Models share an environment; the front has one of its own; ours are in neither."""
    for name in ("alpha", "beta", "core_needs", "api_needs"):
        tiny.write_wheel(index, name)
    tiny.add_package(workspace.root, "core", requires=["core_needs"])
    tiny.add_package(workspace.root, "api", requires=["ml-py-stevedore-core", "api_needs"])
    tiny.add_model(workspace.root, "iris", requires=["alpha", "beta"])
    tiny.add_model(workspace.root, "digits", requires=["beta"])
    locked = lock(workspace, manifest())
    assert names(locked) == {
        "default": ["alpha 1.0", "beta 1.0", "core-needs 1.0"],
        "front": ["api-needs 1.0", "core-needs 1.0"],
    }
    assert {m.name: m.requires for m in locked.models} == {
        "iris": ("alpha", "beta", "core-needs"),
        "digits": ("beta", "core-needs"),
    }
    built = wheels(workspace, manifest())
    own = [w.sha256 for w in locked.wheels] + [m.sha256 for m in locked.models]
    assert own == [wheel.sha256 for wheel in built]


@pytest.mark.parametrize("marker", ["", "; python_full_version == '3.11.4'"])
def test_extras(workspace: Workspace, index: Path, marker: str) -> None:
    """An optional requirement of ours counts only where it is asked for, be it for one patch."""
    tiny.write_wheel(index, "alpha")
    project = tiny.add_package(workspace.root, "core") / "pyproject.toml"
    extra = f'\n[project.optional-dependencies]\nplots = ["alpha{marker}"]\n\n[tool.hatch'
    project.write_text(project.read_text().replace("\n[tool.hatch", extra, 1))
    assert names(lock(workspace, manifest()))["default"] == []
    tiny.add_model(workspace.root, "iris", requires=["ml-py-stevedore-core[plots]"])
    locked = lock(workspace, manifest())
    assert names(locked) == {"default": ["alpha 1.0"], "front": []}
    assert {m.name: m.requires for m in locked.models} == {"iris": ("alpha",), "digits": ()}


def conflict(workspace: Workspace, index: Path) -> list[str]:
    """Return the lines that are said of two models in one environment that fight over `alpha`."""
    tiny.write_wheel(index, "alpha", "1.0")
    tiny.write_wheel(index, "alpha", "2.0")
    tiny.add_model(workspace.root, "iris", requires=["alpha<2"])
    tiny.add_model(workspace.root, "digits", requires=["alpha>=2"])
    together = HEAD.replace("[models]", 'environments = "one"\n\n[models]')
    text = together + 'iris = "1.0.0"\ndigits = "1.0.0"\n'
    with pytest.raises(ResolutionFailed) as caught:
        lock(workspace, Manifest.from_text(text, file="composition.toml"))
    return str(caught.value).splitlines()


def chains(lines: list[str]) -> int:
    """Count the models whose requirement is told."""
    reason = " ".join(lines)
    told = ("iris==1.0.0 depends on alpha<2", "digits==1.0.0 depends on alpha>=2")
    return sum(f"stevedore-model-{chain}" in reason for chain in told)


@pytest.mark.fault("H3")
def test_conflict(workspace: Workspace, index: Path, figure: Callable[[str], None]) -> None:
    """Two models that cannot share an environment: who, why, and what to write."""
    first, *explanation, last = conflict(workspace, index)
    figure(f"{chains(explanation)} of 2 chains of requirements told; apart, both are locked")
    assert first == (
        "environment `default` of composition `pair` cannot hold `iris`, `digits` together."
    )
    assert chains(explanation) == 2
    assert last == (
        "Give one of them an environment of its own in the manifest, such as `iris = { version = "
        '"1.0.0", environment = "other" }`, or change what it requires.'
    )


@pytest.mark.control("H3")
def test_conflict_in_the_words_of_the_resolver_alone(
    workspace: Workspace, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that does not know our models tells neither chain."""
    monkeypatch.setattr("stevedore_build.locks.locking.explain", lambda *_, **__: None)
    assert chains(conflict(workspace, index)) == 0


@pytest.mark.fault("H3")
def test_environments(workspace: Workspace, index: Path) -> None:
    """What the message above says to write works."""
    tiny.write_wheel(index, "alpha", "1.0")
    tiny.write_wheel(index, "alpha", "2.0")
    tiny.add_model(workspace.root, "iris", requires=["alpha<2"])
    tiny.add_model(workspace.root, "digits", requires=["alpha>=2"])
    apart = manifest('iris = { version = "1.0.0", environment = "other" }\ndigits = "1.0.0"\n')
    assert names(lock(workspace, apart)) == {
        "default": ["alpha 2.0"],
        "front": [],
        "other": ["alpha 1.0"],
    }


@pytest.mark.usefixtures("index")
def test_unsolvable_front(workspace: Workspace) -> None:
    """If api itself asks for the impossible, no model is blamed."""
    tiny.add_package(workspace.root, "api", requires=["absent"])
    with pytest.raises(ResolutionFailed, match=r"^environment `front` of composition `pair`: "):
        lock(workspace, manifest())


def test_other_version(workspace: Workspace) -> None:
    """A pin that the workspace cannot fulfil: both versions and both ways out."""
    with pytest.raises(WorkspaceInvalid) as caught:
        wheels(workspace, manifest('iris = "1.1.0"\ndigits = "2.0.0"\n'))
    assert str(caught.value) == (
        "compositions/pair/composition.toml: `models.iris` is pinned to `1.1.0`, and `models/iris` "
        "is at `1.0.0`; "
        "`models.digits` is pinned to `2.0.0`, and `models/digits` is at `1.0.0`; neither "
        "`dist/wheels` nor an index (none is named) nor git history has it; change the pin in the "
        "manifest"
    )


def test_unchanged_requirements_ask_nobody(workspace: Workspace, index: Path) -> None:
    """Changed code alone gives another lock with the same pins, even without an index."""
    wheel = tiny.write_wheel(index, "alpha")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    before = lock(workspace, manifest())
    tiny.write_wheel(index, "alpha", "2.0")
    wheel.unlink()
    tiny.write(workspace.root / "models/iris/src/stevedore_model_iris/more.py", "")
    after = lock(workspace, manifest(), previous=before)
    assert after.environments == before.environments
    assert after.models[0].sha256 != before.models[0].sha256


def test_pins_stay(workspace: Workspace, index: Path) -> None:
    """A new requirement changes no pin that still fits; an upgrade takes the newest."""
    tiny.write_wheel(index, "alpha", "1.0")
    tiny.write_wheel(index, "beta")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    before = lock(workspace, manifest())
    tiny.write_wheel(index, "alpha", "2.0")
    tiny.add_model(workspace.root, "digits", requires=["beta"])
    after = lock(workspace, manifest(), previous=before)
    assert names(after)["default"] == ["alpha 1.0", "beta 1.0"]
    built = wheels(workspace, manifest())
    upgraded = lock_manifest(manifest(), built, previous=before, upgrade=True)
    assert names(upgraded)["default"] == ["alpha 2.0", "beta 1.0"]


def test_models_never_meet(workspace: Workspace) -> None:
    """A model requires core, not another model."""
    tiny.add_model(workspace.root, "iris", requires=["stevedore-model-digits"])
    with pytest.raises(WorkspaceInvalid) as caught:
        lock(workspace, manifest())
    assert str(caught.value) == (
        "`stevedore-model-iris` requires `stevedore-model-digits`; models and packages only ever "
        "require `ml-py-stevedore-core`"
    )


def test_other_core(workspace: Workspace) -> None:
    """A model may ask for a core that is not the workspace's."""
    tiny.add_model(workspace.root, "iris", requires=["ml-py-stevedore-core>=2"])
    with pytest.raises(WorkspaceInvalid) as caught:
        lock(workspace, manifest())
    assert str(caught.value) == (
        "`stevedore-model-iris` requires `ml-py-stevedore-core>=2`, and the workspace has "
        "`ml-py-stevedore-core` 0.1.0; change one of the two"
    )


def test_address(workspace: Workspace) -> None:
    """A requirement that is an address cannot be locked."""
    directory = tiny.add_model(workspace.root, "iris", requires=["alpha @ file:///alpha.whl"])
    with (directory / "pyproject.toml").open("a") as file:
        file.write("[tool.hatch.metadata]\nallow-direct-references = true\n")
    with pytest.raises(WorkspaceInvalid) as caught:
        lock(workspace, manifest())
    assert str(caught.value) == (
        f"{directory / 'pyproject.toml'}: `project.dependencies[2]`: expected a released version, "
        "as a lock holds versions and hashes, found the address `file:///alpha.whl`"
    )


@pytest.mark.usefixtures("index")
def test_address_in_a_wheel(workspace: Workspace) -> None:
    """Nor can one of a wheel that was built elsewhere."""
    here = wheels(workspace, manifest())
    iris = replace(here.models["iris", "1.0.0"], requires=("alpha @ file:///alpha.whl",))
    with pytest.raises(WorkspaceInvalid) as caught:
        lock_manifest(manifest(), replace(here, models={**here.models, ("iris", "1.0.0"): iris}))
    assert str(caught.value) == (
        "`stevedore-model-iris` requires `alpha @ file:///alpha.whl`; a lock holds versions and "
        "hashes, not addresses: require a released version"
    )


@pytest.mark.usefixtures("index")
def test_fresh(workspace: Workspace) -> None:
    """A lock of what is there differs in nothing; making it again gives the same text."""
    locked = lock(workspace, manifest())
    assert differences(manifest(), locked, wheels(workspace, manifest())) == ()
    refuse_stale(manifest(), locked, wheels(workspace, manifest()))
    assert lock(workspace, manifest()).text == locked.text


@pytest.mark.usefixtures("index")
def test_stale(workspace: Workspace) -> None:
    """All that changed since is named, and what to run."""
    locked = lock(workspace, manifest())
    tiny.write(workspace.root / "packages/core/src/stevedore_core/more.py", "")
    tiny.add_model(workspace.root, "tulip")
    now = manifest('iris = "1.0.0"\ntulip = "1.0.0"\n')
    with pytest.raises(LockStale) as caught:
        refuse_stale(now, locked, wheels(workspace, now))
    assert str(caught.value) == (
        "the lock of `pair` is not what would be locked now: the manifest changed; "
        "`ml-py-stevedore-core` 0.1.0 changed; `stevedore-model-tulip` 1.0.0 is not in the lock; "
        "`stevedore-model-digits` 1.0.0 is only in the lock; "
        "run `make lock NAME=pair` and review what it changes"
    )


@pytest.mark.usefixtures("index")
def test_base_is_locked(workspace: Workspace) -> None:
    """The base image that the manifest names is in the lock."""
    named = Manifest.from_text(
        manifest().text + '\n[image]\nbase = "python:3.11"\n', file="composition.toml"
    )
    assert lock(workspace, named) == replace(
        lock(workspace, manifest()), base="python:3.11", manifest_sha256=named.sha256
    )

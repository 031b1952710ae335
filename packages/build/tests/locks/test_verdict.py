"""What `make lock` says of a lock."""

from dataclasses import replace
from pathlib import Path

import tiny

from stevedore_build.locks.locking import lock_manifest
from stevedore_build.locks.verdict import verdict
from stevedore_build.wheels.building import OwnWheels
from stevedore_build.wheels.pins import wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

HEAD = 'name = "pair"\nversion = "1.0.0"\npython = "3.11"\n\n[models]\n'
BOTH = 'iris = "1.0.0"\ndigits = "1.0.0"\n'


def locked(
    workspace: Workspace, models: str = BOTH, previous: Lock | None = None
) -> tuple[Lock, OwnWheels]:
    """Lock these models."""
    tiny.track(workspace.root)
    asked = Manifest.from_text(HEAD + models, file="composition.toml")
    wheels = wheels_of(asked, workspace=workspace)
    return lock_manifest(asked, wheels, previous=previous), wheels


def alphas(index: Path) -> None:
    """Offer the distribution alpha at two versions, and beta, which wants the older one."""
    tiny.write_wheel(index, "alpha", "1.0")
    tiny.write_wheel(index, "alpha", "2.0")
    tiny.write_wheel(index, "beta", requires=["alpha<2"])


def test_together(workspace: Workspace, index: Path) -> None:
    """Models that share an environment stand below each other, and nobody is at odds."""
    tiny.write_wheel(index, "alpha", "1.0")
    tiny.add_model(workspace.root, "iris", requires=["alpha"])
    lock, wheels = locked(workspace)
    sizes = [f"{(wheel.path.stat().st_size / 1000):.1f} kB" for wheel in wheels.models.values()]
    assert verdict(lock, wheels, previous=None).splitlines() == [
        "environment  model         wheel   requires",
        f"default      iris 1.0.0    {sizes[0]}  1 of 1 distributions",
        f"default      digits 1.0.0  {sizes[1]}  0 of 1 distributions",
        "",
        "There was no lock to compare with.",
    ]


def test_conflict(workspace: Workspace, index: Path) -> None:
    """Of two that cannot share one, both chains of requirements are told."""
    alphas(index)
    tiny.add_model(workspace.root, "iris", requires=["alpha>=2"])
    tiny.add_model(workspace.root, "digits", requires=["beta"])
    lock, wheels = locked(workspace)
    assert [(m.name, m.environment) for m in lock.models] == [
        ("iris", "default"),
        ("digits", "default-2"),
    ]
    said = verdict(lock, wheels, previous=lock)
    assert "\ndigits 1.0.0 is not in `default`:\n  Because" in said
    for link in (
        "stevedore-model-digits==1.0.0 depends on beta",
        "all versions of beta depend on alpha<2",
        "stevedore-model-iris==1.0.0 depends on alpha>=2",
    ):
        assert link in said
    assert said.endswith("\n\nNothing changed.")


def test_versions_and_choice(workspace: Workspace, index: Path) -> None:
    """Versions of a model are apart by rule, and some are apart because the manifest says so."""
    alphas(index)
    tiny.commit(workspace.root)
    tiny.add_model(workspace.root, "iris", version="1.1.0")
    lock, wheels = locked(
        workspace,
        'iris = ["1.1.0", "1.0.0"]\ndigits = { version = "1.0.0", environment = "default-3" }\n',
    )
    said = verdict(lock, wheels, previous=None).splitlines()
    rule = "it holds iris 1.1.0, and versions of a model never share one"
    fits = "it would fit there, and stays where it was or where the manifest puts it"
    assert f"iris 1.0.0 is not in `default`: {rule}" in said
    assert f"digits 1.0.0 is not in `default`: {fits}" in said


def test_changes(workspace: Workspace, index: Path) -> None:
    """Models added, removed, moved and changed, and pins that changed, are named."""
    alphas(index)
    tiny.add_model(workspace.root, "iris", requires=["alpha<2"])
    before, _ = locked(workspace)
    tiny.add_model(workspace.root, "iris", requires=["alpha>=2"])
    tiny.add_model(workspace.root, "tulip")
    tiny.write(workspace.root / "packages/core/src/stevedore_core/more.py", "")
    lock, wheels = locked(workspace, 'iris = "1.0.0"\ntulip = "1.0.0"\n', before)
    moved = replace(
        before, models=(replace(before.models[0], environment="other"), before.models[1])
    )
    assert verdict(lock, wheels, previous=moved).split("\n\n")[-1].splitlines() == [
        "Changed since the previous lock:",
        "  changed  ml-py-stevedore-core 0.1.0",
        "  added    tulip 1.0.0 in `default`",
        "  removed  digits 1.0.0 from `default`",
        "  moved    iris 1.0.0 from `other` to `default`",
        "  changed  iris 1.0.0: another wheel of the same version",
        "  changed  `alpha` in `default`: 1.0 to 2.0",
    ]

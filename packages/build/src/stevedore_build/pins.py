"""What a manifest pins → the wheels of exactly those versions."""

from stevedore_build.errors import WorkspaceInvalid
from stevedore_build.wheels import OwnWheels, build_wheels
from stevedore_build.workspace import Workspace
from stevedore_core.manifest import Manifest

__all__ = ["wheels_of"]


def wheels_of(manifest: Manifest, *, workspace: Workspace) -> OwnWheels:
    """Return the wheels a manifest needs: core, api and its models.

    Raises `WorkspaceInvalid` if the workspace has a model at another version than the pinned one.
    """
    core, api = workspace.package("core"), workspace.package("api")
    packages = {pin.name: workspace.model(pin.name) for pin in manifest.models}
    wheels = build_wheels(
        (core, api, *packages.values()), workspace=workspace, store=workspace.store
    )
    models = {
        (pin.name, pin.version): wheels[packages[pin.name].distribution] for pin in manifest.models
    }
    wrong = [
        f"`models.{name}` is pinned to `{version}`, and `models/{name}` is at `{wheel.version}`"
        for (name, version), wheel in models.items()
        if wheel.version != version
    ]
    if wrong:
        raise WorkspaceInvalid(
            f"composition `{manifest.name}`: {'; '.join(wrong)}; change the pin in the manifest, "
            "or check out the commit that has the pinned version"
        )
    return OwnWheels(core=wheels[core.distribution], api=wheels[api.distribution], models=models)

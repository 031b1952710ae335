"""New compositions: a manifest of models as the workspace has them, its changelog, tests and lock.

`cli.scaffolds` calls it. Nothing is left of a composition that could not be locked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stevedore_build.drafts import draft_directory
from stevedore_build.errors import ScaffoldRefused
from stevedore_build.locks.locking import lock_manifest
from stevedore_build.locks.verdict import verdict
from stevedore_build.processes import git
from stevedore_build.scaffolds.model_environments import PYTHON
from stevedore_build.scaffolds.models import refuse_taken
from stevedore_build.scaffolds.templating import render
from stevedore_build.wheels.building import build_wheels
from stevedore_build.wheels.pins import refuse_other_than_released, wheels_of
from stevedore_build.workspace import Workspace
from stevedore_core.fields import quote
from stevedore_core.manifest import Manifest
from stevedore_core.strict_json import Json

__all__ = ["new_composition"]

_TEMPLATE: Final = Path(__file__).parents[1] / "templates" / "composition"


def new_composition(name: str, models: Sequence[str], *, workspace: Workspace) -> tuple[Path, str]:
    """Make and lock a composition of models; return where it is, and what its lock comes to.

    Raises `ScaffoldRefused` if the name cannot be had or no model is named, `WorkspaceInvalid` if
    there is no such model, and `ResolutionFailed`.
    """
    refuse_taken(name, parent=workspace.root / "compositions")
    if not models or len(set(models)) != len(models):
        expected = 'the names of models, each once, such as `MODELS="iris digits"`'
        raise ScaffoldRefused(f"`MODELS`: expected {expected}, found {quote(' '.join(models))}")
    packages = [workspace.model(model) for model in models]
    built = build_wheels(packages, workspace=workspace, store=workspace.store)
    versions = {package.folder: built[package.distribution].version for package in packages}
    with draft_directory(workspace.store.drafts) as scratch:
        draft = scratch / name
        answers: dict[str, Json] = {"name": name, "python": PYTHON, "models": dict(versions)}
        render(answers, draft, template=_TEMPLATE)
        manifest = Manifest.parse(draft / "composition.toml")
        wheels = wheels_of(manifest, workspace=workspace)
        refuse_other_than_released(wheels, workspace=workspace)
        lock = lock_manifest(manifest, wheels)
        lock.write(draft)
        place = workspace.root / "compositions" / name
        place.parent.mkdir(exist_ok=True)
        draft.rename(place)
    git("add", "--", str(place.relative_to(workspace.root)), cwd=workspace.root)
    return place, verdict(lock, wheels, previous=None)

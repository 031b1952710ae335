"""`assemble`: an application from a layout. The only place where the parts are chosen."""

from collections.abc import Mapping
from pathlib import Path

from stevedore_api.access_log import AccessLog
from stevedore_api.admission import Admission
from stevedore_api.app import App
from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.hot_path import HotPath
from stevedore_api.settings import Settings
from stevedore_api.worker_process import WorkerCommand
from stevedore_core.errors import DocumentInvalid, LayoutInvalid
from stevedore_core.installed import differences
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.manifest import Manifest
from stevedore_core.strict_json import Json

__all__ = ["assemble"]


def assemble(settings: Settings, access_log: AccessLog) -> App:
    """Read the layout that the settings name and put together what serves it.

    Raises:
        DocumentInvalid: There is no layout, or its manifest or lock cannot be understood.
        LayoutInvalid: What is installed there is not what the lock says.
    """
    layout = Layout(root=Path(settings.layout))
    if not layout.composition.is_dir():
        raise DocumentInvalid(
            f"`{layout.composition}` is not there: `STEVEDORE_LAYOUT` must name the directory of a "
            "layout, which `make serve` makes and serves"
        )
    lock = Lock.read(layout.composition)
    _refuse_other_than_locked(layout, lock)
    manifest = Manifest.parse(layout.manifest)
    catalogue = Catalogue()
    groups = _groups(layout, lock, manifest, settings, catalogue)
    health = Health(catalogue, settings, manifest.readiness, _gates(lock, manifest))
    catalogue.on_loaded(health.watch)
    return App(
        catalogue=catalogue,
        groups=groups,
        health=health,
        hot_path=HotPath(catalogue, settings, access_log),
        composition=_composition(lock),
        is_loopback=settings.is_loopback,
        access_log=access_log,
    )


def _refuse_other_than_locked(layout: Layout, lock: Lock) -> None:
    """Raise `LayoutInvalid` with every difference, if there is any."""
    if found := differences(layout, lock):
        listed = "".join(f"\n  {difference}" for difference in found)
        raise LayoutInvalid(
            f"{layout.root}: what is installed is not what `{lock.name}` {lock.version} locks; "
            f"build it anew from its lock:{listed}"
        )


def _groups(
    layout: Layout, lock: Lock, manifest: Manifest, settings: Settings, catalogue: Catalogue
) -> tuple[WorkerGroup, ...]:
    """Make a group for each environment, and one for each model that asks for its own workers."""
    admission = Admission(settings.max_queued, settings.max_queued_bytes)
    groups = []
    keys = lock.keys
    for environment, workers, models in _shares(lock, manifest):
        command = WorkerCommand(
            import_path=layout.worker_path(environment, [(m.name, m.version) for m in models]),
            models=[model.name for model in models],
            threads=settings.threads,
        )
        groups.append(
            WorkerGroup(
                command,
                keys=[keys[model] for model in models],
                workers=workers,
                settings=settings,
                admission=admission,
                on_loaded=catalogue.note_loaded,
            )
        )
    places = {key: (group, n) for group in groups for n, key in enumerate(group.models)}
    for model in lock.models:
        group, number = places[keys[model]]
        catalogue.add(
            ServedModel(
                key=keys[model],
                name=model.name,
                version=model.version,
                environment=model.environment,
                group=group,
                number=number,
            )
        )
    return tuple(groups)


def _shares(lock: Lock, manifest: Manifest) -> list[tuple[str, int, list[LockedModel]]]:
    """Return environment, number of workers and models of each group."""
    workers = {(pin.name, pin.version): pin.workers for pin in manifest.models}
    shared: dict[str, list[LockedModel]] = {}
    own = []
    for model in lock.models:
        if (count := workers[model.name, model.version]) is None:
            shared.setdefault(model.environment, []).append(model)
        else:
            own.append((model.environment, count, [model]))
    return [(environment, 1, models) for environment, models in shared.items()] + own


def _gates(lock: Lock, manifest: Manifest) -> dict[str, Mapping[str, float]]:
    """Return what each model must score to be ready, for those where the manifest says so."""
    pins = {(pin.name, pin.version): pin for pin in manifest.models}
    return {
        key: pin.min_score
        for model, key in lock.keys.items()
        if (pin := pins[model.name, model.version]).gate == "readiness"
    }


def _composition(lock: Lock) -> dict[str, Json]:
    """Return what `/composition` shows."""
    return {
        "name": lock.name,
        "version": lock.version,
        "python": lock.python,
        "lock_sha256": lock.digest,
        "base": lock.base,
        "models": [
            {
                "name": model.name,
                "version": model.version,
                "environment": model.environment,
                "distribution": model.distribution,
                "sha256": model.sha256,
            }
            for model in lock.models
        ],
        "wheels": [
            {"distribution": w.distribution, "version": w.version, "sha256": w.sha256}
            for w in lock.wheels
        ],
        "environments": [
            {"name": environment.name, "sha256": environment.sha256}
            for environment in lock.environments
        ],
    }

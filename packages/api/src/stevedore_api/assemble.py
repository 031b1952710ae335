"""`assemble`: an application from a layout. The only place where the parts are chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stevedore_api.admission import Admission
from stevedore_api.app import App
from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.cgroup import usable_cores
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
from stevedore_core.serving import AUTO
from stevedore_core.strict_json import Json

__all__ = ["assemble"]


def assemble(settings: Settings) -> App:
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
    _fill(catalogue, lock, groups)
    settings = settings.filled(manifest.settings)
    health = Health(catalogue, settings, manifest.readiness, _gates(lock, manifest))
    catalogue.on_loaded(health.watch)
    return App(
        catalogue=catalogue,
        groups=groups,
        health=health,
        hot_path=HotPath(catalogue, settings),
        composition=_composition(lock),
        settings=settings,
    )


def _refuse_other_than_locked(layout: Layout, lock: Lock) -> None:
    """Raise `LayoutInvalid` with every difference, if there is any."""
    if found := differences(layout, lock):
        listed = "".join(f"\n  {difference}" for difference in found)
        raise LayoutInvalid(
            f"{layout.root}: what is installed is not what `{lock.name}` {lock.version} locks; "
            f"build it anew from its lock:{listed}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Share:
    """What becomes a worker group: models of one environment, each with its settings."""

    environment: str
    pairs: list[tuple[LockedModel, Settings]]
    workers: int

    @property
    def models(self) -> list[LockedModel]:
        return [model for model, _ in self.pairs]


def _groups(
    layout: Layout, lock: Lock, manifest: Manifest, settings: Settings, catalogue: Catalogue
) -> tuple[WorkerGroup, ...]:
    """Make a group for each environment, and one for each model that asks for its own workers."""
    cores = usable_cores()
    keys = lock.keys
    shares = _shares(lock, manifest, settings, cores)
    settings = settings.filled(manifest.settings)
    admission = Admission(
        settings.max_queued,
        settings.max_queued_bytes,
        {keys[m]: own.max_queued for s in shares for m, own in s.pairs},
    )
    fair_threads = max(1, cores // sum(share.workers for share in shares))
    groups = []
    for share in shares:
        packages = [(model.name, model.version) for model in share.models]
        command = WorkerCommand(
            import_path=layout.worker_path(share.environment, packages),
            models=[model.name for model in share.models],
            threads=fair_threads if settings.threads == AUTO else settings.threads,
        )
        groups.append(
            WorkerGroup(
                command,
                keys=[keys[model] for model in share.models],
                workers=share.workers,
                settings=settings,
                settings_of=[own for _, own in share.pairs],
                admission=admission,
                on_loaded=catalogue.note_loaded,
            )
        )
    return tuple(groups)


def _fill(catalogue: Catalogue, lock: Lock, groups: Sequence[WorkerGroup]) -> None:
    """Add the locked models to the catalogue, each with its place in a group."""
    keys = lock.keys
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


def _shares(lock: Lock, manifest: Manifest, settings: Settings, cores: int) -> list[_Share]:
    """Return what each group is made of: first those of environments, then those of one model."""
    pins = {(pin.name, pin.version): pin for pin in manifest.models}
    members: dict[tuple[str, LockedModel | None], list[tuple[LockedModel, Settings]]] = {}
    for model in lock.models:
        pin = pins[model.name, model.version]
        own = settings.filled(pin.settings).filled(manifest.settings)
        place = (model.environment, model if pin.is_alone else None)
        members.setdefault(place, []).append((model, own))
    return [
        _Share(
            environment=environment,
            pairs=pairs,
            workers=cores if (workers := pairs[0][1].workers) == AUTO else workers,
        )
        for (environment, _), pairs in sorted(
            members.items(), key=lambda member: member[0][1] is not None
        )
    ]


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

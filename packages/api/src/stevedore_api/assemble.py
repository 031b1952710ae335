"""`assemble`: an application from a layout. The only place where the parts are chosen."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stevedore_api.access_log import AccessLog
from stevedore_api.admission import Admission
from stevedore_api.app import App
from stevedore_api.catalogue import Catalogue, ServedModel
from stevedore_api.cgroup import memory_bound, usable_cores
from stevedore_api.exposition import Exposition
from stevedore_api.group import WorkerGroup
from stevedore_api.health import Health
from stevedore_api.hot_path import HotPath
from stevedore_api.memory_watch import MemoryWatch
from stevedore_api.metrics import Metrics
from stevedore_api.settings import Settings
from stevedore_core.errors import DocumentInvalid, LayoutInvalid
from stevedore_core.installed import differences
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock, LockedModel
from stevedore_core.manifest import Manifest, ModelPin
from stevedore_core.served_settings import AUTO
from stevedore_core.strict_json import Json
from stevedore_core.worker_command import WorkerCommand

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
    metrics = Metrics(lock.keys.values())
    cores = usable_cores()
    plans = _plans(lock, manifest, settings, cores)
    filled = settings.filled(manifest.settings)
    admission = Admission(
        {key: own.max_queued for plan in plans for key, own in plan.settings_of.items()},
        filled.max_queued_bytes,
    )
    # All workers together have a thread for each core.
    fair_threads = max(1, cores // sum(plan.workers for plan in plans))
    threads = fair_threads if filled.threads == AUTO else filled.threads
    groups = tuple(
        WorkerGroup(
            _command(layout, plan, threads),
            name=plan.name,
            workers=plan.workers,
            settings=filled,
            models=plan.settings_of,
            admission=admission,
            metrics=metrics,
        )
        for plan in plans
    )
    catalogue = Catalogue(_served(lock, plans, groups))
    health = Health(catalogue, filled, manifest.readiness, _gates(lock, manifest))
    memory = MemoryWatch(memory_bound(), filled.max_memory_share)
    return App(
        catalogue=catalogue,
        groups=groups,
        health=health,
        memory=memory,
        hot_path=HotPath(catalogue, filled, access_log, metrics, memory),
        composition=_composition(lock),
        settings=filled,
        access_log=access_log,
        metrics=metrics,
        exposition=Exposition(
            metrics=metrics, groups=groups, admission=admission, health=health, lock=lock
        ),
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
class _GroupPlan:
    """What becomes a worker group: models of one environment, each with its settings."""

    name: str
    models: list[LockedModel]
    settings_of: dict[str, Settings]
    """By the models' keys, in the order of `models`."""
    workers: int


def _plans(lock: Lock, manifest: Manifest, settings: Settings, cores: int) -> list[_GroupPlan]:
    """Plan a group for each environment, and one for each model that asks for its own.

    A group is called by its environment, as `default`; one of a single model has the model's key
    after that, as `default:iris`.
    """
    pins, keys = _pins(lock, manifest), lock.keys
    members: dict[str, list[LockedModel]] = {}
    for model in sorted(lock.models, key=lambda model: pins[model].is_alone):
        suffix = f":{keys[model]}" if pins[model].is_alone else ""
        members.setdefault(f"{model.environment}{suffix}", []).append(model)
    plans = []
    for name, models in members.items():
        settings_of = {
            keys[model]: settings.filled(pins[model].settings).filled(manifest.settings)
            for model in models
        }
        workers = settings_of[keys[models[0]]].workers
        plans.append(
            _GroupPlan(
                name=name,
                models=models,
                settings_of=settings_of,
                workers=cores if workers == AUTO else workers,
            )
        )
    return plans


def _pins(lock: Lock, manifest: Manifest) -> dict[LockedModel, ModelPin]:
    """Return what the manifest says of each locked model."""
    pins = {(pin.name, pin.version): pin for pin in manifest.models}
    return {model: pins[model.name, model.version] for model in lock.models}


def _command(layout: Layout, plan: _GroupPlan, threads: int) -> WorkerCommand:
    """Return what starts a worker of a group."""
    packages = [(model.name, model.version) for model in plan.models]
    return WorkerCommand(
        python=Path(sys.executable),
        import_path=layout.worker_path(plan.models[0].environment, packages),
        models=[model.name for model in plan.models],
        threads=threads,
    )


def _served(
    lock: Lock, plans: Sequence[_GroupPlan], groups: Sequence[WorkerGroup]
) -> Iterator[ServedModel]:
    """Return the locked models, each with its place in a group."""
    places = {
        model: (group, number)
        for plan, group in zip(plans, groups, strict=True)
        for number, model in enumerate(plan.models)
    }
    for model, key in lock.keys.items():
        group, number = places[model]
        yield ServedModel(
            key=key,
            name=model.name,
            version=model.version,
            environment=model.environment,
            group=group,
            number=number,
        )


def _gates(lock: Lock, manifest: Manifest) -> dict[str, Mapping[str, float]]:
    """Return what each model must score to be ready, for those where the manifest says so."""
    keys = lock.keys
    return {
        keys[model]: pin.min_score
        for model, pin in _pins(lock, manifest).items()
        if pin.gate == "readiness"
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
        "wheels": [asdict(wheel) for wheel in lock.wheels],
        "environments": [
            {"name": environment.name, "sha256": environment.sha256}
            for environment in lock.environments
        ],
    }

"""A layout on this machine: one directory that points to layers. Served and tested from here."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from stevedore_build.layouts.layers import Layer, layers_of
from stevedore_build.layouts.shared_libraries import host_libraries
from stevedore_build.platforms import host_platform
from stevedore_build.store import Store
from stevedore_core.layout import Layout
from stevedore_core.lock import Lock
from stevedore_core.manifest import Manifest

__all__ = ["layout_alone", "make_layout"]


def make_layout(manifest: Manifest, lock: Lock, *, store: Store) -> Layout:
    """Make the layout of a lock for this machine; layers that exist are used as they are."""
    layers = layers_of(
        manifest, lock, store=store, platform=host_platform(), libraries=host_libraries()
    )
    return _joined(layers, store)


def layout_alone(lock: Lock, *, store: Store) -> tuple[Layout, tuple[Path, ...]]:
    """Make the layout of a lock with one model; return it with the import path of that model."""
    (model,) = lock.models
    manifest = Manifest.of_model(lock.name, version=lock.version, python=lock.python)
    layout = make_layout(manifest, lock, store=store)
    return layout, layout.worker_path(model.environment, [(model.name, model.version)])


def _joined(layers: Iterable[Layer], store: Store) -> Layout:
    parts = {layer.name: layer.directory for layer in layers}
    key = "".join(f"{name}\0{directory.name}\0" for name, directory in parts.items())
    root = store.layouts / hashlib.sha256(key.encode()).hexdigest()
    if not root.is_dir():
        with store.adding(root) as draft:
            for name, directory in parts.items():
                place = draft / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(directory, target_is_directory=True)
    return Layout(root=root)

"""What shows the state of a front that serves nothing: its routes and metrics are the real ones."""

from stevedore_api.admission import Admission
from stevedore_api.catalogue import Catalogue
from stevedore_api.exposition import Exposition
from stevedore_api.health import Health
from stevedore_api.metrics import Metrics
from stevedore_api.settings import Settings
from stevedore_core.lock import Lock


def exposition() -> Exposition:
    """Return what `/metrics` asks."""
    catalogue = Catalogue()
    lock = Lock(
        name="sample",
        version="1.0.0",
        python="3.11",
        manifest_sha256="0" * 64,
        base=None,
        environments=(),
        wheels=(),
        models=(),
    )
    return Exposition(
        metrics=Metrics(()),
        catalogue=catalogue,
        groups=(),
        admission=Admission(1, 1),
        health=Health(catalogue, Settings.read({}), "all", {}),
        lock=lock,
    )

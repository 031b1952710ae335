"""BentoML with one worker, adaptive batching where asked for. `bentoml serve` loads `Fitted`."""

import bentoml

from benchmarks.servers.fitted import BATCH_ROWS, asked_model, is_batching

LATENCY_MS = 5_000
"""What BentoML's batching may take at most, else it refuses."""


@bentoml.service(workers=1)
class Fitted:
    """Instances in, answers out."""

    def __init__(self) -> None:
        self._predict = asked_model()

    @bentoml.api(  # type: ignore[untyped-decorator]  # not installed where types are checked
        route="/", batchable=is_batching(), max_batch_size=BATCH_ROWS, max_latency_ms=LATENCY_MS
    )
    def predict(self, instances: list[list[float]]) -> list[str] | list[float]:
        """Run the model."""
        return self._predict(instances)

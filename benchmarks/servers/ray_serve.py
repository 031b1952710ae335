"""Ray Serve with one replica, its batching where asked for."""

import os
import signal
import sys
import threading
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.servers.fitted import BATCH_ROWS, BATCH_WAIT_S, asked_model, is_batching

OBJECT_STORE_BYTES = 100 << 20
ONGOING = 256


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=ONGOING,
    ray_actor_options={"num_cpus": 0},
    logging_config={"enable_access_log": False},
)
class Fitted:
    """Instances in, answers out."""

    def __init__(self) -> None:
        self._predict = asked_model()
        self._is_batching = is_batching()

    @serve.batch(  # type: ignore[untyped-decorator]  # not installed where types are checked
        max_batch_size=BATCH_ROWS, batch_wait_timeout_s=BATCH_WAIT_S
    )
    async def _batched(self, requests: list[Any]) -> list[Any]:
        rest = iter(self._predict([row for rows in requests for row in rows]))
        return [[next(rest) for _ in rows] for rows in requests]

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer one request."""
        instances = await request.json()
        batched = self._is_batching
        answers = await self._batched(instances) if batched else self._predict(instances)
        return JSONResponse(answers)  # with a length: what is returned plainly is sent in chunks


if __name__ == "__main__":
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Fitted.bind())  # type: ignore[attr-defined]  # made by the decorator
    ended.wait()
    serve.shutdown()
    ray.shutdown()
    sys.exit(0)

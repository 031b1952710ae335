"""The ceiling: an ASGI function on uvicorn that checks nothing and calls the model inline."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import uvicorn

from benchmarks.servers.fitted import Predict, asked_model

HEADERS = [(b"content-type", b"application/json")]


class Ceiling:
    """The least that turns a body into an answer."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict

    async def __call__(
        self,
        _scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer any request."""
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        answer = orjson.dumps(self._predict(orjson.loads(body)))
        headers = [*HEADERS, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        Ceiling(asked_model()),
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )

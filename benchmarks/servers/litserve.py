"""LitServe with one worker. The batch is flattened, as a request may hold several instances."""

import os
from typing import Any

import litserve

from benchmarks.servers.fitted import BATCH_ROWS, BATCH_WAIT_S, asked_model, is_batching


class Fitted(litserve.LitAPI):  # type: ignore[misc]  # not installed where types are checked
    """Instances in, answers out."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # LitServe's signature
        """Load the model, in the worker."""
        self.predict_rows = asked_model()

    # LitServe makes its route from the types of decode_request and encode_response: none is JSON.
    def decode_request(self, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return the instances of one request."""
        return request["instances"]

    def batch(self, inputs: list[Any]) -> Any:
        """Join the instances of requests, remembering where each ends."""
        self.counts = [len(rows) for rows in inputs]
        return [row for rows in inputs for row in rows]

    def predict(self, x: Any) -> Any:
        """Run the model."""
        return self.predict_rows(x)

    def unbatch(self, output: Any) -> Any:
        """Share the answers out again."""
        rest = iter(output)
        return [[next(rest) for _ in range(count)] for count in self.counts]

    def encode_response(self, output):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Return the answers of one request."""
        return {"answers": output}


if __name__ == "__main__":
    batching = (
        {"max_batch_size": BATCH_ROWS, "batch_timeout": BATCH_WAIT_S} if is_batching() else {}
    )
    server = litserve.LitServer(Fitted(**batching), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )

"""MLServer without parallel workers: a custom runtime, its settings, and what starts it."""

import json
import os
import socket
import sys
import tempfile
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.cli import main
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.servers.fitted import BATCH_ROWS, BATCH_WAIT_S, asked_model, is_batching


class Fitted(MLModel):  # type: ignore[misc]  # it is not installed where types are checked
    """A tensor of instances in, a tensor of answers out."""

    async def load(self) -> bool:
        """Load the model."""
        self._predict = asked_model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        answers = self._predict(NumpyCodec.decode_input(payload.inputs[0]))
        if isinstance(answers[0], str):
            output = StringCodec.encode_output("answers", answers)
        else:
            output = NumpyCodec.encode_output("answers", np.asarray(answers))
        return InferenceResponse(model_name=self.name, outputs=[output])


def write_settings(place: Path) -> None:
    """Write the server's and the model's settings."""
    server = {
        "host": "127.0.0.1",
        "http_port": int(os.environ["PORT"]),
        "grpc_port": _free_port(),
        "metrics_port": _free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    model: dict[str, object] = {
        "name": os.environ["MODEL"],
        "implementation": "benchmarks.servers.mlserver.Fitted",
    }
    if is_batching():
        model |= {"max_batch_size": BATCH_ROWS, "max_batch_time": BATCH_WAIT_S}
    (place / "settings.json").write_text(json.dumps(server), encoding="utf-8")
    (place / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as settings:
        write_settings(Path(settings))
        sys.argv = ["mlserver", "start", settings]
        main()

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

from benchmarks.servers.fitted import BATCH_ROWS, BATCH_WAIT_S, is_batching, load_fitted


class Fitted(MLModel):  # type: ignore[misc]  # it is not installed where types are checked
    """A tensor of instances in, a tensor of answers out."""

    async def load(self) -> bool:
        """Load the model."""
        parameters = self.settings.parameters
        self._predict = load_fitted(parameters.extra["original"], Path(parameters.uri))
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
    """Write the server's and the models' settings."""
    server = {
        "host": "127.0.0.1",
        "http_port": int(os.environ["PORT"]),
        "grpc_port": _free_port(),
        "metrics_port": _free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    (place / "settings.json").write_text(json.dumps(server), encoding="utf-8")
    for name, (original, weights) in json.loads(os.environ["MODELS"]).items():
        model: dict[str, object] = {
            "name": name,
            "implementation": "benchmarks.servers.mlserver.Fitted",
            "parameters": {"uri": weights, "extra": {"original": original}},
        }
        if is_batching():
            model |= {"max_batch_size": BATCH_ROWS, "max_batch_time": BATCH_WAIT_S}
        (place / name).mkdir()
        (place / name / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as settings:
        write_settings(Path(settings))
        sys.argv = ["mlserver", "start", settings]
        main()

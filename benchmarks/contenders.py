"""The servers side by side: how each is started, what it is sent, how its answer is read."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load import Exchange
from benchmarks.prepare import ROOT, Copy, Preparation
from benchmarks.running import HOST, Command
from benchmarks.workloads import Known, Workload
from stevedore_build.layouts.interpreters import find_interpreter
from stevedore_build.layouts.serving import serving_command
from stevedore_build.store import Store

__all__ = ["CONTENDERS", "Contender", "Ours", "TensorScript"]

Answers = Sequence[str | float]
_TOLERANCE = 1e-9
"""Of a probability: servers may sum over rows in another order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A server that takes an array of instances at `/` and answers with an array.

    One with a protocol of its own overrides what differs.
    """

    name: str

    def command(self, preparation: Preparation, workload: Workload, port: int) -> Command:
        """Return what starts it; makes what it needs first."""
        raise NotImplementedError

    def path(self, model: str) -> str:  # noqa: ARG002  # for those that serve by name
        """Return the path of a model's predictions."""
        return "/"

    def payload(self, instances: Sequence[Sequence[float]]) -> object:
        """Return the body of a request, as JSON."""
        return instances

    def answers(self, body: bytes) -> object:
        """Return the answers in the body of a response."""
        return json.loads(body)

    def exchange(self, model: str, known: Known) -> Exchange:
        """Return a request as bytes, and what tells its right answer."""
        body = json.dumps(self.payload(known.instances), separators=(",", ":")).encode()
        head = (
            f"POST {self.path(model)} HTTP/1.1\r\nHost: {HOST}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return Exchange(
            request=head.encode() + body,
            is_right=lambda answer: _agree(self.answers(answer), known.answers),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Script(Contender):
    """A module of `servers/`, in an environment of its own."""

    module: str
    models: tuple[Copy, ...] = ()
    """What is served beside the workload's model, where the module can."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Beside those that every module takes."""

    def command(self, preparation: Preparation, workload: Workload, port: int) -> Command:
        """Return what runs the module with the model's weights."""
        python = preparation.environment(self.module)
        alone = (Copy(original=workload.model, name=workload.model),)
        served = {
            model.name: [model.original, str(preparation.weights(model.original))]
            for model in self.models or alone
        }
        return Command(
            # -P: a module may have the name of what it imports.
            arguments=[str(python), "-P", "-m", *self.run(port)],
            environ={
                "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": os.environ.get("HOME", "/"),
                "PYTHONPATH": str(ROOT),
                "DO_NOT_TRACK": "1",
                "MODEL": workload.model,
                "WEIGHTS": str(preparation.weights(workload.model)),
                "MODELS": json.dumps(served),
                "PORT": str(port),
                "BATCHING": "1" if workload.is_batching else "0",
                **self.variables,
            },
        )

    def run(self, port: int) -> Sequence[str]:  # noqa: ARG002  # for those started otherwise
        """Return the module that Python runs, and its arguments."""
        return [f"benchmarks.servers.{self.module}"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WrappedScript(Script):
    """A server that takes `{"instances": …}`."""

    place: str = "/"
    wraps_answers: bool = False
    """Whether the answer is `{"answers": …}`."""

    def path(self, model: str) -> str:  # noqa: ARG002  # it serves one
        """Return the path of the model's predictions."""
        return self.place

    def payload(self, instances: Sequence[Sequence[float]]) -> object:
        """Return the body of a request, as JSON."""
        return {"instances": instances}

    def answers(self, body: bytes) -> object:
        """Return the answers in the body of a response."""
        document = json.loads(body)
        return document["answers"] if self.wraps_answers else document


@dataclass(frozen=True, kw_only=True, slots=True)
class BentoScript(WrappedScript):
    """A service that BentoML's own command loads."""

    def run(self, port: int) -> Sequence[str]:
        """Return the command and its arguments."""
        service = f"benchmarks.servers.{self.module}:Fitted"
        return ["bentoml", "serve", service, "--host", HOST, "--port", str(port)]


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorScript(Script):
    """A server that speaks the Open Inference Protocol."""

    def path(self, model: str) -> str:
        """Return the path of a model's predictions."""
        return f"/v2/models/{model}/infer"

    def payload(self, instances: Sequence[Sequence[float]]) -> object:
        """Return the body of a request, as JSON."""
        tensor = {
            "name": "instances",
            "datatype": "FP64",
            "shape": [len(instances), len(instances[0])],
            "data": [value for row in instances for value in row],
        }
        return {"inputs": [tensor]}

    def answers(self, body: bytes) -> object:
        """Return the answers in the body of a response."""
        return json.loads(body)["outputs"][0]["data"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ours(Contender):
    """`python -m stevedore_api` on a layout that holds the model, or others beside it."""

    models: tuple[Copy, ...] = ()

    def command(self, preparation: Preparation, workload: Workload, port: int) -> Command:
        """Return what serves the layout, as `make serve` does."""
        alone = (Copy(original=workload.model, name=workload.model),)
        layout = preparation.layout(self.models or alone)
        python = find_interpreter("3.11", store=Store(root=ROOT / ".stevedore")).program
        arguments, environ = serving_command(layout, python=python, host=HOST, port=port)
        return Command(arguments=arguments, environ=environ)

    def path(self, model: str) -> str:
        """Return the path of a model's predictions."""
        return f"/models/{model}/predict"


CONTENDERS: Mapping[str, Contender] = {
    contender.name: contender
    for contender in (
        Script(name="ceiling", module="ceiling"),
        Ours(name="ours"),
        Script(name="fastapi-def", module="fastapi", variables={"ROUTE": "def"}),
        Script(name="fastapi-async", module="fastapi", variables={"ROUTE": "async"}),
        TensorScript(name="mlserver", module="mlserver"),
        WrappedScript(name="litserve", module="litserve", place="/predict", wraps_answers=True),
        BentoScript(name="bentoml", module="bentoml"),
        Script(name="ray-serve", module="ray_serve", variables={"RAY_USAGE_STATS_ENABLED": "0"}),
    )
}


def _agree(found: object, expected: Answers) -> bool:
    return (
        isinstance(found, list)
        and len(found) == len(expected)
        and all(map(_agrees, found, expected))
    )


def _agrees(found: object, expected: str | float) -> bool:
    if isinstance(expected, str) or not isinstance(found, int | float):
        return found == expected
    return abs(found - expected) <= _TOLERANCE

"""A served composition, as the tests beside this file and a composition's own tests see it.

`ml-stevedore test-composition` serves it and says where in the environment; `test-image` does so
from a container.
"""

import json
import os
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

__all__ = ["ALONE", "LAYOUT", "LOCK", "MODELS", "Model", "post", "ready_client"]

READY_LIMIT_S = 60.0

LAYOUT = Path(os.environ["STEVEDORE_LAYOUT"])
ALONE: dict[str, str] = json.loads(os.environ["STEVEDORE_ALONE"])
"""For each model, by the key that reports have, the import path on which it stands alone."""
LOCK_TEXT = (LAYOUT / "composition" / "lock.toml").read_text("utf-8")
LOCK = tomllib.loads(LOCK_TEXT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One version of a model that the composition ships."""

    name: str
    version: str
    environment: str

    @property
    def place(self) -> str:
        """The path of exactly this version."""
        return f"/models/{self.name}/versions/{self.version}"

    def example(self, verb: str) -> str:
        """Return the packaged payload for `predict` or `score`, as its file has it."""
        package = f"stevedore_model_{self.name.replace('-', '_')}"
        directory = LAYOUT / "models" / self.name / self.version / package
        return (directory / "examples" / f"{verb}.json").read_text("utf-8")


MODELS = {
    key: Model(name=entry["name"], version=entry["version"], environment=entry["environment"])
    for key, entry in zip(ALONE, LOCK["models"], strict=True)
}
"""By the same keys, in the lock's order: `iris`, and `iris@1.0.0` for one that is no default."""


@contextmanager
def ready_client() -> Iterator[httpx.Client]:
    """Return a client of the composition, once every model is ready or it took too long."""
    with httpx.Client(base_url=os.environ["STEVEDORE_URL"], timeout=30) as client:
        give_up = time.monotonic() + READY_LIMIT_S
        while client.get("/readyz").status_code != httpx.codes.OK and time.monotonic() < give_up:
            time.sleep(0.05)
        yield client


def post(client: httpx.Client, path: str, body: str) -> httpx.Response:
    """Send a body of JSON."""
    return client.post(path, content=body, headers={"Content-Type": "application/json"})

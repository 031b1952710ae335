"""The image under test and its containers, as the tests beside this file see them.

`ml-stevedore test-image` builds the image and says in the environment what it is and who runs it.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

READY_LIMIT_S = 30.0

IMAGE = os.environ["STEVEDORE_IMAGE"]
READ_ONLY: list[str] = json.loads(os.environ["STEVEDORE_READ_ONLY"])
ALONE: dict[str, str] = json.loads(os.environ["STEVEDORE_ALONE"])
LAYOUT = Path(os.environ["STEVEDORE_LAYOUT"])

PREDICT_INSIDE = """
import sys
from http.client import HTTPConnection

connection = HTTPConnection("127.0.0.1", 8000, timeout=10)
headers = {"Content-Type": "application/json"}
place = sys.argv[1].replace("@", "/versions/")
answers = set()
for _ in range(int(sys.argv[3])):
    connection.request("POST", f"/models/{place}/predict", sys.argv[2].encode(), headers)
    answers.add(connection.getresponse().read())
sys.stdout.buffer.write(b" or ".join(answers))
"""


def engine(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Call the container engine."""
    command = [*json.loads(os.environ["STEVEDORE_ENGINE"]), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{command}: {done.stderr}"
    return done


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """A container of the image, and what tests ask it."""

    name: str
    python: str

    def inside(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Python in the container."""
        return engine("exec", self.name, f"python{self.python}", *arguments, check=check)

    def is_ready(self) -> bool:
        """Ask the image's own probe."""
        return self.inside("-S", "-m", "stevedore_api.probe", check=False).returncode == 0

    def await_ready(self, limit_s: float = READY_LIMIT_S) -> None:
        """Wait until the probe says so."""
        give_up = time.monotonic() + limit_s
        while not self.is_ready():
            assert time.monotonic() < give_up, f"not ready; it said: {self.log()}"
            time.sleep(0.1)

    def predict(self, model: str, payload: str, count: int = 1) -> str:
        """Return what a model answers to a caller inside the container, as often as asked."""
        return self.inside("-c", PREDICT_INSIDE, model, payload, str(count)).stdout

    def address(self) -> str:
        """Return at which address it is reached; it must publish its port."""
        return f"http://{engine('port', self.name, '8000/tcp').stdout.splitlines()[0]}"

    def log(self) -> str:
        """Return what the container wrote."""
        done = engine("logs", self.name)
        return done.stdout + done.stderr


StartContainer = Callable[..., Container]

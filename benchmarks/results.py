"""What a full run found, kept in `results.json`; the documents are written from it."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.growth import Growth
from benchmarks.measuring import Failed, Measured

__all__ = ["Results", "this_machine"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The figures of one run, and what they were measured on."""

    date: str
    machine: str
    rounds: int
    seconds: float
    measured: tuple[Measured, ...]
    failed: tuple[Failed, ...]
    growth: tuple[Growth, ...]

    def write(self, path: Path) -> None:
        """Write the results as JSON. Of what a failed server said, only the reason is kept."""
        document = asdict(self)
        for entry in document["failed"]:
            entry["reason"] = entry["reason"].splitlines()[0]
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read results."""
        document = json.loads(path.read_text(encoding="utf-8"))
        for name, kind in (("measured", Measured), ("failed", Failed), ("growth", Growth)):
            document[name] = tuple(kind(**entry) for entry in document[name])
        return cls(**document)


def this_machine() -> tuple[str, str]:
    """Return today's date and what this machine is, in words."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = os.cpu_count()
    cpu = f"{names[0] if names else platform.machine()}, {cores} cores"
    words = f"{cpu}, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    return datetime.now(UTC).date().isoformat(), words

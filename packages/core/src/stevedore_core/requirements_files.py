"""Requirements files whose every line is a `Pin`: a distribution at one version, with hashes.

`lock` keeps one for each environment, build reads what its resolver answers.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from stevedore_core.errors import DocumentInvalid

__all__ = ["Pin", "format_pins", "parse_pins"]

_PIN = re.compile(
    r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[A-Za-z0-9.!+_-]+)"
    r"(?: ; (?P<marker>[^\\]+?))?(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One third-party distribution at one version, with the sha256 of every file it may be."""

    name: str
    version: str
    marker: str | None
    sha256s: tuple[str, ...]

    def line(self) -> str:
        """Return the pin as a requirements file has it."""
        marker = f" ; {self.marker}" if self.marker else ""
        hashes = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256 in self.sha256s)
        return f"{self.name}=={self.version}{marker}{hashes}\n"


def format_pins(pins: Iterable[Pin]) -> str:
    """Return the text of the requirements file that has these pins."""
    return "".join(pin.line() for pin in pins)


def parse_pins(text: str, *, file: str) -> tuple[Pin, ...]:
    """Return the pins of a requirements file.

    Raises:
        DocumentInvalid: A line that is no comment lacks an exact version or a hash.
    """
    pins = []
    for line in text.replace("\\\n", "").splitlines():
        stripped = " ".join(line.split())
        if not stripped or stripped.startswith("#"):
            continue
        match = _PIN.fullmatch(stripped)
        if match is None:
            raise DocumentInvalid(
                f"{file}: expected a pin such as `numpy==2.2.6 --hash=sha256:…`, "
                f"found `{stripped[:60]}`"
            )
        pins.append(
            Pin(
                name=match["name"],
                version=match["version"],
                marker=match["marker"],
                sha256s=tuple(sorted(re.findall(r"sha256:([0-9a-f]{64})", match["hashes"]))),
            )
        )
    return tuple(pins)

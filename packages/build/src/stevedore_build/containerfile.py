"""The Containerfile of a composition's image, as data that turns into text. Called by `images`.

It adds tars and says how to start; nothing runs while an image is built. Whatever reaches it
passes a strict grammar first, so no name or version can become an instruction.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from stevedore_build.errors import ContainerfileRefused
from stevedore_core.fields import IMAGE_REFERENCE

__all__ = ["Containerfile"]

_BASE = re.compile(rf"sha256:[0-9a-f]{{64}}|{IMAGE_REFERENCE.pattern.pattern}")
_TAR = re.compile(r"[a-z0-9][a-z0-9._-]*\.tar")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_LABEL = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_VALUE = re.compile(r"[A-Za-z0-9._:/=,+@-][A-Za-z0-9 ._:/=,+@-]*")
_ARGUMENT = re.compile(r"[A-Za-z0-9._/=:-]+")
_USER = re.compile(r"[0-9]{1,10}:[0-9]{1,10}")
_LAST_PORT = 65535
_PROBE_TIMES = "--interval=10s --timeout=5s --start-period=60s --retries=3"


@dataclass(frozen=True, kw_only=True, slots=True)
class Containerfile:
    """What an image is made of and how it starts.

    `base` is an image's id, or a name where no engine is there to ask for it. `tars` are file
    names in the context, the one that changes least first. `probe` and `command` are arguments,
    never a shell's line. Making one raises `ContainerfileRefused`.
    """

    base: str
    tars: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    user: str
    port: int
    probe: tuple[str, ...]
    command: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what does not pass the grammar, all of it in one message."""
        refused = [
            *_refused("base", _BASE, [self.base]),
            *_refused("tars", _TAR, self.tars),
            *_refused("environment, name", _VARIABLE, _firsts(self.environment)),
            *_refused("environment, value", _VALUE, _seconds(self.environment)),
            *_refused("labels, name", _LABEL, _firsts(self.labels)),
            *_refused("labels, value", _VALUE, _seconds(self.labels)),
            *_refused("user", _USER, [self.user]),
            *_refused("probe", _ARGUMENT, self.probe),
            *_refused("command", _ARGUMENT, self.command),
        ]
        if not 0 < self.port <= _LAST_PORT:
            refused.append(f"`port`: expected 1 to {_LAST_PORT}, found {self.port}")
        if refused:
            raise ContainerfileRefused("no Containerfile can be written: " + "; ".join(refused))

    def text(self) -> str:
        """Return the file. Layers stand first: a changed label leaves them cached.

        Variables and labels share an instruction each: engines take time for every one.
        """
        lines = [f"FROM {self.base}"]
        lines += [f"ADD {tar} /" for tar in self.tars]
        lines += [
            f"ENV {_quoted(self.environment)}",
            f"LABEL {_quoted(self.labels)}",
            f"EXPOSE {self.port}",
            f"USER {self.user}",
            f"HEALTHCHECK {_PROBE_TIMES} CMD {json.dumps(self.probe)}",
            f"CMD {json.dumps(self.command)}",
        ]
        return "\n".join(lines) + "\n"


def _quoted(pairs: Iterable[tuple[str, str]]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in pairs)


def _firsts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [first for first, _ in pairs]


def _seconds(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [second for _, second in pairs]


def _refused(field: str, grammar: re.Pattern[str], values: Iterable[str]) -> list[str]:
    return [
        f"`{field}`, item {place}: {value!r} does not fit `{grammar.pattern}`"
        for place, value in enumerate(values, start=1)
        if not grammar.fullmatch(value)
    ]

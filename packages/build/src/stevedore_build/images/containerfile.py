"""The Containerfile of a composition's image, as data that turns into text. Called by `building`.

It adds tars and says how to start; nothing runs while an image is built. Whatever reaches it
passes a strict grammar first, so no name or version can become an instruction.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
_PROBE_TIMES_S = {"interval": 10, "timeout": 5, "start-period": 60}
_PROBE_RETRIES = 3
_NANOSECONDS = 10**9


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
            *_refused("environment, name", _VARIABLE, [name for name, _ in self.environment]),
            *_refused("environment, value", _VALUE, [value for _, value in self.environment]),
            *_refused("labels, name", _LABEL, [name for name, _ in self.labels]),
            *_refused("labels, value", _VALUE, [value for _, value in self.labels]),
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
        times = [f"--{name}={seconds}s" for name, seconds in _PROBE_TIMES_S.items()]
        probing = f"{' '.join(times)} --retries={_PROBE_RETRIES}"
        lines = [f"FROM {self.base}"]
        lines += [f"ADD {tar} /" for tar in self.tars]
        lines += [
            f"ENV {_quoted(self.environment)}",
            f"LABEL {_quoted(self.labels)}",
            f"EXPOSE {self.port}",
            f"USER {self.user}",
            f"HEALTHCHECK {probing} CMD {json.dumps(self.probe)}",
            f"CMD {json.dumps(self.command)}",
        ]
        return "\n".join(lines) + "\n"

    def configuration(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an image of this file says about how it starts, in the engines' words.

        `base` is the same of the base: what is not set here comes from there.
        """
        variables = dict(pair.split("=", 1) for pair in base.get("Env") or [])
        variables |= dict(self.environment)
        return {
            **base,
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Labels": {**(base.get("Labels") or {}), **dict(self.labels)},
            "ExposedPorts": {**(base.get("ExposedPorts") or {}), f"{self.port}/tcp": {}},
            "User": self.user,
            "Healthcheck": {
                "Test": ["CMD", *self.probe],
                "Interval": _PROBE_TIMES_S["interval"] * _NANOSECONDS,
                "Timeout": _PROBE_TIMES_S["timeout"] * _NANOSECONDS,
                "StartPeriod": _PROBE_TIMES_S["start-period"] * _NANOSECONDS,
                "Retries": _PROBE_RETRIES,
            },
            "Cmd": list(self.command),
        }


def _quoted(pairs: Iterable[tuple[str, str]]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in pairs)


def _refused(field: str, grammar: re.Pattern[str], values: Iterable[str]) -> list[str]:
    return [
        f"`{field}`, item {place}: {value!r} does not fit `{grammar.pattern}`"
        for place, value in enumerate(values, start=1)
        if not grammar.fullmatch(value)
    ]

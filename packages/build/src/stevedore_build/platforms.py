"""The platforms a lock covers. A layer is made for one of them."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from stevedore_build.errors import ToolFailed

__all__ = ["LINUX_AMD64", "LINUX_ARM64", "MACOS_ARM64", "PLATFORMS", "Platform", "host_platform"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """One operating system on one kind of processor."""

    name: str
    system: str
    """What Python calls `sys.platform`."""
    machine: str
    """What Python calls `platform.machine()`."""
    wheels: str
    """What uv calls the platform whose wheels run there."""

    @property
    def architecture(self) -> str:
        """What engines and Debian call the machine."""
        return self.name.partition("/")[2]

    def marker_values(self, python_full_version: str) -> Mapping[str, str]:
        """Return what the variables of a requirement's marker are on this platform."""
        minor = ".".join(python_full_version.split(".")[:2])
        return {
            "implementation_name": "cpython",
            "implementation_version": python_full_version,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": {"linux": "Linux", "darwin": "Darwin"}[self.system],
            "platform_version": "",
            "python_full_version": python_full_version,
            "python_version": minor,
            "sys_platform": self.system,
            "extra": "",
        }


LINUX_AMD64 = Platform(
    name="linux/amd64", system="linux", machine="x86_64", wheels="x86_64-manylinux_2_28"
)
LINUX_ARM64 = Platform(
    name="linux/arm64", system="linux", machine="aarch64", wheels="aarch64-manylinux_2_28"
)
MACOS_ARM64 = Platform(
    name="macos/arm64", system="darwin", machine="arm64", wheels="aarch64-apple-darwin"
)
PLATFORMS = (LINUX_AMD64, LINUX_ARM64, MACOS_ARM64)


def host_platform() -> Platform:
    """Return the platform of this machine. Raises `ToolFailed` where no lock covers it."""
    machine = platform.machine()
    for candidate in PLATFORMS:
        if (sys.platform, machine) == (candidate.system, candidate.machine):
            return candidate
    covered = ", ".join(f"`{candidate.name}`" for candidate in PLATFORMS)
    raise ToolFailed(
        f"this machine is `{sys.platform}/{machine}`; locks cover {covered}; "
        "build an image here and run it there"
    )

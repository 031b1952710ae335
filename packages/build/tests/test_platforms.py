"""The platforms a lock covers."""

import platform
import sys

import pytest

from stevedore_build.errors import ToolFailed
from stevedore_build.platforms import LINUX_ARM64, MACOS_ARM64, PLATFORMS, host_platform


@pytest.mark.parametrize("expected", PLATFORMS, ids=lambda p: str(p.name))
def test_host(expected: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine is recognised by what Python says of it."""
    (known,) = (p for p in PLATFORMS if p is expected)
    monkeypatch.setattr(sys, "platform", known.system)
    monkeypatch.setattr(platform, "machine", lambda: known.machine)
    assert host_platform() is known


def test_uncovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine is told what is covered and what to do."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ToolFailed) as caught:
        host_platform()
    assert str(caught.value) == (
        "this machine is `linux/riscv64`; locks cover `linux/amd64`, `linux/arm64`, "
        "`macos/arm64`; build an image here and run it there"
    )


def test_marker_values() -> None:
    """Markers see the platform, not this machine."""
    values = MACOS_ARM64.marker_values("3.11.4")
    assert values["python_version"] == "3.11"
    assert values["platform_system"] == "Darwin"
    assert LINUX_ARM64.marker_values("3.11.4")["platform_machine"] == "aarch64"

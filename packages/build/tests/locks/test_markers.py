"""Markers, judged on the platforms that locks cover."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from packaging.markers import Marker

from stevedore_build.locks import markers
from stevedore_build.locks.markers import ever_holds, holds, on_platform, requirement_of, shorten
from stevedore_build.platforms import LINUX_AMD64, LINUX_ARM64, MACOS_ARM64
from stevedore_core.requirements_files import Pin

LINUX = "sys_platform == 'linux'"


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("python_full_version == '3.11.*'", (True, None)),
        ("sys_platform == 'linux' or sys_platform == 'darwin'", (True, None)),
        ("sys_platform == 'win32'", (False, None)),
        ("python_full_version >= '3.11' and sys_platform != 'darwin'", (True, LINUX)),
        ("platform_system == 'Darwin'", (True, "sys_platform == 'darwin'")),
        (
            "platform_machine == 'x86_64' and sys_platform == 'linux'",
            (True, "platform_machine == 'x86_64'"),
        ),
        (
            "platform_machine == 'aarch64' and os_name == 'posix'",
            (True, "platform_machine == 'aarch64'"),
        ),
        (
            "platform_machine == 'x86_64' or platform_machine == 'arm64'",
            (True, "platform_machine != 'aarch64'"),
        ),
        (
            "platform_machine == 'aarch64' or platform_machine == 'arm64'",
            (True, "platform_machine != 'x86_64'"),
        ),
        *(
            (marker, (True, marker))
            for marker in (
                "python_full_version < '3.11.3'",
                "python_full_version == '3.11.4'",
                "python_full_version != '3.11.4'",
                "python_full_version < '3.11.99'",
            )
        ),
    ],
)
def test_shorten(marker: str, expected: tuple[bool, str | None]) -> None:
    """A marker is as short as the covered platforms allow, and gone where it is always true.

    One that may differ from patch to patch of Python stays, be it for one patch only.
    """
    assert shorten(marker, "3.11") == expected


def test_shortened_means_the_same() -> None:
    """What a short marker says holds on the same platforms as the long one."""
    long = "platform_machine == 'x86_64' or platform_machine == 'arm64'"
    _, short = shorten(long, "3.11")
    for platform in (LINUX_AMD64, LINUX_ARM64, MACOS_ARM64):
        assert holds(short, platform, "3.11.2") == holds(long, platform, "3.11.2")


def test_on_platform() -> None:
    """Only what applies is installed."""
    everywhere = Pin(name="a", version="1", marker=None, sha256s=())
    linux = Pin(name="b", version="1", marker=LINUX, sha256s=())
    assert on_platform((everywhere, linux), LINUX_AMD64, "3.11.2") == (everywhere, linux)
    assert on_platform((everywhere, linux), MACOS_ARM64, "3.11.2") == (everywhere,)


def test_extra() -> None:
    """An extra holds only where it is asked for; where none is, it is the empty one."""
    assert holds("extra == 'testing'", LINUX_AMD64, "3.11.2", "testing")
    assert not holds("extra == 'testing'", LINUX_AMD64, "3.11.2")
    assert holds("extra == ''", LINUX_AMD64, "3.11.2")


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("extra == 'testing'", True),
        ("extra == 'testing' and python_full_version == '3.11.4'", True),
        ("extra == 'testing' and platform_machine == 'aarch64'", True),
        ("extra == 'testing' and python_version >= '3.12'", False),
        ("extra == 'other'", False),
    ],
)
def test_somewhere(marker: str, *, expected: bool) -> None:
    """What applies on one platform or with one patch of Python is not left out."""
    assert ever_holds(marker, "3.11", "testing") is expected


def test_requirement() -> None:
    """A line of metadata is read as what it says."""
    assert str(requirement_of("some[one] >=2; extra == 'x'")) == 'some[one]>=2; extra == "x"'


def test_one_thread_reads_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many threads resolve, only one of them is in Python's parser."""
    inside: list[str] = []
    most = 0

    def read(text: str) -> Marker:
        nonlocal most
        inside.append(text)
        most = max(most, len(inside))
        time.sleep(0.001)
        inside.remove(text)
        return Marker(LINUX)

    monkeypatch.setattr(markers, "Marker", read)
    monkeypatch.setattr(markers, "Requirement", read)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(requirement_of, map(str, range(20))))
        list(pool.map(lambda n: holds(f"marker {n}", LINUX_AMD64, "3.11.0"), range(20)))
    assert most == 1

"""What an image offers is read from its files."""

import io
import tarfile
from pathlib import Path

import pytest

from stevedore_build.images.rootfs import RootFilesystem

AMD64, ARM64 = b"\x3e\x00", b"\xb7\x00"
GLIBC = "usr/lib/x86_64-linux-gnu/libc.so.6"

NO_GLIBC = "expected glibc (`libc.so.6`), which the locked wheels need, found"


def program(machine: bytes) -> bytes:
    """Return the beginning of an ELF file for a machine."""
    return b"\x7fELF" + bytes(14) + machine + bytes(40)


def read(
    tmp_path: Path, files: dict[str, bytes], links: dict[str, str] | None = None
) -> RootFilesystem:
    """Return the facts about a file system of these files and symbolic links."""
    tar = tmp_path / "root.tar"
    with tarfile.open(tar, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return RootFilesystem.read(tar)


def test_debian(tmp_path: Path) -> None:
    """Programs count as files, libraries as links too; other places and names do not count."""
    found = read(
        tmp_path,
        {
            "./usr/bin/python3.11": program(AMD64),
            GLIBC: b"",
            "usr/lib/python3.11/lib-dynload/_ssl.so": b"",
            "usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0": b"",
            "usr/lib/x86_64-linux-gnu/notes.txt": b"",
        },
        {"usr/lib/x86_64-linux-gnu/libgomp.so.1": "libgomp.so.1.0.0", "usr/bin/python3": "x"},
    )
    assert found == RootFilesystem(
        pythons=("3.11",),
        architecture="amd64",
        libraries=("libc.so.6", "libgomp.so.1", "libgomp.so.1.0.0"),
    )
    assert list(found.problems(python="3.11", architecture="amd64")) == []


CASES: dict[str, tuple[dict[str, bytes], list[str]]] = {
    "wrong minor": (
        {
            "usr/bin/python3.9": program(AMD64),
            "usr/local/bin/python3.12": program(AMD64),
            GLIBC: b"",
        },
        ["expected `python3.11` in /usr/local/bin or /usr/bin, found `python3.9` and `python3.12`"],
    ),
    "musl": (
        {"usr/local/bin/python3.11": program(AMD64), "lib/ld-musl-x86_64.so.1": b""},
        [
            f"{NO_GLIBC} musl (`ld-musl-x86_64.so.1`)",
        ],
    ),
    "other machine": (
        {"usr/local/bin/python3.11": program(ARM64), GLIBC: b""},
        ["expected programs for amd64, found arm64"],
    ),
    "nothing": (
        {"etc/os-release": b""},
        [
            "expected `python3.11` in /usr/local/bin or /usr/bin, found no Python",
            f"{NO_GLIBC} none",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_problems(tmp_path: Path, case: str) -> None:
    """Each reason is a sentence of its own, and all of them are given."""
    files, expected = CASES[case]
    assert list(read(tmp_path, files).problems(python="3.11", architecture="amd64")) == expected

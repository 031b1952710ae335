"""How much memory a process holds. `exposition` shows it, `slots` bounds it."""

import os

__all__ = ["resident_bytes"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process; None if it is gone or the system does not tell."""
    try:
        descriptor = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
    except OSError:
        return None
    try:
        pages = os.read(descriptor, 128).split()[1]
    except (OSError, IndexError):  # it ended just now
        return None
    finally:
        os.close(descriptor)
    return int(pages) * _PAGE_BYTES

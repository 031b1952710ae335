"""How much memory a process holds. `exposition` shows it."""

import os
from pathlib import Path

__all__ = ["resident_bytes"]


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process; None if it is gone or the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")

"""A network of a test's own: no port in it was used before, and nothing outside reaches it."""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["private_network"]

_OWN = "/proc/thread-self/ns/net"
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


@contextmanager
def private_network() -> Iterator[bool]:
    """Move this thread, and what it starts meanwhile, into a network that has a loopback only.

    Hands out whether it could: only root may on Linux, and elsewhere nobody.
    """
    if os.geteuid() or not Path(_OWN).exists():
        yield False
        return
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open(_OWN, os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network of its own could be made")
        try:
            _bring_up_loopback()
            yield True
        finally:
            if libc.setns(outside, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "the way back from the network was not found")
    finally:
        os.close(outside)


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))

"""What can go wrong in a benchmark. `__main__` prints it; a round that failed has no figures."""

__all__ = ["BenchmarkError", "ServerFailed", "WrongAnswer"]


class BenchmarkError(Exception):
    """The base of what follows."""


class ServerFailed(BenchmarkError):
    """A server could not be installed, or did not start."""


class WrongAnswer(BenchmarkError):
    """A server did not give the known answer."""

"""`Verdict`: what a self-test found. A worker takes it, the front reads what became of it.

It stands apart from `self_test` because the front imports no validator and no Predictor.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["PASSED", "Verdict"]

PASSED: Final = "passed"
"""The code of a verdict that finds nothing wrong, and of a model that is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a self-test found: a stable code (`passed` or an error's) and a detail for the log."""

    reason: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        """True if the Predictor works."""
        return self.reason == PASSED

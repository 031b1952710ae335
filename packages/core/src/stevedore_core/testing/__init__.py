"""The conformance suite: the contract as tests. A model package's tests derive from `Conformance`.

Needs the extra `ml-py-stevedore-core[testing]`; nothing else in core imports it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stevedore_core.testing.conformance import Conformance

__all__ = ["Conformance"]


def __getattr__(name: str) -> Any:
    """Import the suite, and pytest with it, when asked: its processes need neither."""
    if name == "Conformance":
        from stevedore_core.testing.conformance import Conformance  # noqa: PLC0415

        return Conformance
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")

"""The conformance suite: the contract as tests. A model package's tests derive from `Conformance`.

Needs the extra `ml-py-stevedore-core[testing]`; nothing else in core imports it.
"""

from stevedore_core.testing.conformance import Conformance

__all__ = ["Conformance"]

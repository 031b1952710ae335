"""How a composition of models is served over HTTP."""

__version__ = "0.1.0"

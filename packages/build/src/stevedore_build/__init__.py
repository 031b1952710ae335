"""How a composition becomes a lock, a layout and an image."""

__version__ = "0.1.0"

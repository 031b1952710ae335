"""What a model is. Names are imported from the modules that hold them."""

__version__ = "0.1.0"

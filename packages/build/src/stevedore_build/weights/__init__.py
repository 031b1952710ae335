"""Weights too large for a wheel: recorded in a model package, fetched once, kept by sha256.

Called by layers, which lay them down, and by the command line.
"""

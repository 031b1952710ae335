"""Releases of models and of compositions, and what moved between two of them.

Called by the command line.
"""

"""Wheels of our own packages: what may be in one, how it is built, where each pinned version is.

Called by whatever makes a lock, a layer or a release of them.
"""

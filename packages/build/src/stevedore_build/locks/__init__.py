"""Locks: from a manifest and the wheels of its models to pinned, hashed distributions.

Called by `make lock`, and by whatever serves or releases what is locked.
"""

"""Layouts: what a lock turns into, as directories on this machine, and serving from there.

Called by checks and images, and by `make serve`.
"""

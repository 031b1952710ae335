"""Checks of what is locked: tests on its layout, gates for its scores, and when they run again.

Called by make and nox through the command line, by images and by releases.
"""

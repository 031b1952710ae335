"""Scaffolds: new model packages, compositions and workspaces, rendered from `templates`.

Called by the command line.
"""

"""Schema files of models: written from types, and compared with those of an older version.

Called by `make schemas` and by releases of models.
"""

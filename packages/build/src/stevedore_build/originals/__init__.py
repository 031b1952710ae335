"""Model packages from an original-style `model.py`. Called by the command line."""

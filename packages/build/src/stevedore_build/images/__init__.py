"""Images: engines and bases, layers as tars, building, running, pushing, verifying, documents.

Called by the command line and by releases of compositions.
"""

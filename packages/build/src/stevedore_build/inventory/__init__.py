"""What a layout holds, told to others: distributions, licences, bill of materials, provenance.

Called by the last layer of a layout, and for the documents beside an image.
"""

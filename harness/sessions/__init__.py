"""The sessions that are kept: finding, listing, searching, reading, exporting and deleting them."""

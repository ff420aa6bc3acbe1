"""One file per wire format, and what the program knows of models."""

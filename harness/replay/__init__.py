"""A recorded session proved: every request made again from the facts of its journal, and compared byte for byte."""

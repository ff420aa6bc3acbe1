"""A coding agent for the terminal whose prompt prefix never moves."""

__version__ = "0.2.0.dev0"

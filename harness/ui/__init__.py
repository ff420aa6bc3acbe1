"""Screens: they see events and questions, nothing else."""

"""What was expected of the vendors' caches, what was billed, why they differ, and what it cost."""

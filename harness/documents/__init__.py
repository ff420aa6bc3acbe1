"""Documents as text: what they are, the person's conversion scripts, their environment, and what was converted."""

"""What happens next: the session, one model call, the tools, the loop, its policies."""

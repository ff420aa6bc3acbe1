"""Values: what was said, what was sent, what happened; and the journal that keeps them."""

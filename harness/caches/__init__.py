"""The caches beside a vendor's own: what was answered is kept and given again."""

"""The caches beside a vendor's own: of responses and of tool outputs."""

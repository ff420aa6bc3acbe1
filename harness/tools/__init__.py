"""The model's tools, one file each; none imports another."""

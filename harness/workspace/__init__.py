"""The person's folder and machine: paths, permission rules, files and processes."""

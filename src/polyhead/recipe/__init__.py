"""What to learn from which images: one checked object, read from one YAML file."""

"""A fleet in containers."""

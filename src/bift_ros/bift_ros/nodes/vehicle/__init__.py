"""A vehicle's nodes."""

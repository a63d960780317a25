"""Bift's set-up, in Python's standard library alone."""

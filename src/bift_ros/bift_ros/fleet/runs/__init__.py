"""Fleets brought up, followed and ended."""

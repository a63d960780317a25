"""Bift: federated learning across a fleet of vehicles, with no server."""

__version__ = "0.1.0"

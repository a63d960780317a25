"""Nodes that play bags."""

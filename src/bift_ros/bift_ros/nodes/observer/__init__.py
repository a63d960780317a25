"""Nodes that watch a fleet and never take part."""

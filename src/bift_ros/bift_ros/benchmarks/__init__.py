"""Bift beside its peers: what `./bift bench` measures. The one room that imports peer libraries."""

"""What an observer hears, as plain values. Nothing here is authenticated: it is for display.

An observer has no genesis and so cannot check a signature; consensus never reads these.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObservedTip:
    """Where a vehicle says that its chain ends, and what it is called."""

    name: str
    address: str
    height: int
    hash: str
    provider: str
    """Base URL of its gateway."""


@dataclass(frozen=True)
class Flight:
    """A message on its way from one vehicle to all others."""

    kind: str
    """`block`, or the kind of a transaction, such as `model_commit`."""
    sender: str
    """Address."""
    at: float
    """When it was heard, in seconds of the listener's monotonic clock."""

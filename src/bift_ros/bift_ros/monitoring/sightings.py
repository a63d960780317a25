"""What an onlooker hears, as plain values. Nothing here is authenticated: it is for display.

An onlooker has no genesis and so cannot check a signature; consensus never reads these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class UpdateSeen:
    """A model update that a block carries."""

    sender: str
    """Address."""
    cid: str
    accuracy: float
    """Share of the sender's held-out samples that its local model names rightly, 0 to 1."""
    samples: int


@dataclass(frozen=True)
class ModelSeen:
    """The new global model that a block brings."""

    model_id: str
    current_iter: int
    total_iter: int
    global_cid: str
    rule: str
    accuracy: float
    """As the chain states it, 0 to 1."""
    contributors: tuple[str, ...]
    """Addresses of those whom the block rewards."""


@dataclass(frozen=True)
class BlockSeen:
    """One block of whichever branch."""

    hash: str
    previous_hash: str
    height: int
    miner: str
    """Address."""
    timestamp: int
    """Milliseconds since the Unix epoch by the miner's clock."""
    transactions: Mapping[str, int]
    """How many of each kind, such as `model_update`."""
    updates: tuple[UpdateSeen, ...]
    model: ModelSeen | None


@dataclass(frozen=True)
class TipSeen:
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

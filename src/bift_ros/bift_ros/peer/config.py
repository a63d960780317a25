"""A peer's own settings: what may differ between honest vehicles of one fleet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PeerConfig:
    """Times are in milliseconds. What all must agree on is in the genesis policy instead."""

    mine: bool = True
    """Aggregate and search for blocks."""
    train: bool = True
    """Train on the private dataset when a task runs."""
    allowed_architectures: tuple[str, ...] = ("bift_ros.learning.models:traffic_light_cnn",)
    """Model factories that this vehicle agrees to run: a task names its own, from outside."""
    training_retry_ms: int = 2_000
    """Pause before a training that failed is tried again, doubled each time up to 32 times this."""
    store_retry_ms: int = 1_000
    """Pause before the store is written to again after it failed, doubled up to 32 times this."""
    fetch_retry_ms: int = 1_000
    """Pause before a failed fetch is tried again."""
    file_wait_ms: int = 30_000
    """A block whose files can't be had within this time is refused."""
    omission_grace_ms: int = 5_000
    """An update counts as had in good time where it came this long before the block."""
    reveal_delay_ms: int = 2_000
    """Pause between the block with a vehicle's commitment and the update itself. Commits that were
    first heard of later than half of it after that block may have been made knowing updates."""
    dispute_ms: int = 60_000
    """A disputed block is given a chance after this long without a majority on either side."""
    rebroadcast_ms: int = 5_000
    """Own transactions that are still not on the chain are sent again this often."""
    mine_turn_ms: int = 200
    """A miner leaves each member drawn before it this long to begin on a block with learning."""
    key_turn_ms: int = 5_000
    """How long each member has to give the fleet a key for its model files, one after the other."""
    announce_ms: int = 5_000
    """The tip is announced anew this often in a fleet of 30, more seldom in a larger one."""
    request_timeout_ms: int = 10_000
    """How long to wait for one vehicle's blocks before another is asked."""
    maximum_waiting_blocks: int = 128
    """Blocks kept while their parent or files are missing."""
    keep_all: bool = False
    """Keep every file that the chain names, for those who check it from its first block on."""
    file_cache_bytes: int = 128 * 2**20
    """Model files kept in memory for aggregation."""

"""What a vehicle's tree of blocks wants of the store that keeps it over a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from bift_ros.consensus.blocks import Block, SignedHeader

MAX_EVIDENCE = 1024
"""Equivocations that a store keeps; further ones are known for as long as the vehicle runs."""


class Store(Protocol):
    """Every accepted block, side branches included, and which of them form the chain.

    Whatever is written is kept before the call returns, whole or not at all. Raises StoreError.
    """

    def accept(self, block: Block, tip_hash: bytes) -> None:
        """Add `block` and make `tip_hash` the tip; the parent must be here, or be the genesis."""

    def add(self, block: Block) -> None:
        """Add `block` to the tree and leave the tip."""

    def set_tip(self, tip_hash: bytes) -> None:
        """Make the branch that ends in `tip_hash` the chain."""

    def set_note(self, key: str, value: bytes) -> None:
        """Keep a value of the vehicle's own under a name; the newest counts."""

    def add_evidence(self, first: bytes, second: bytes) -> None:
        """Keep the proof of an equivocation, two `SignedHeader`s' bytes; bounded, once for each."""

    def discard(self, reason: str) -> None:
        """Drop everything as damaged and start afresh."""

    @property
    def tip(self) -> bytes:
        """The hash of the chain's last block; the genesis' where there is none."""

    def has(self, block_hash: bytes) -> bool:
        """Tell whether the block is in the tree; the genesis counts."""

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block of the tree, or None."""

    def canonical(self, from_height: int, limit: int) -> list[Block]:
        """Give at most `limit` blocks of the chain, upwards from `from_height` (at least 1)."""

    def canonical_headers(self, from_height: int, limit: int) -> list[SignedHeader]:
        """Give the headers of `canonical`'s blocks."""

    def note(self, key: str) -> bytes | None:
        """Give what was kept under a name, or None."""

    def evidence(self) -> list[tuple[SignedHeader, SignedHeader]]:
        """Give the equivocations found, in the order in which they were."""

    def blocks(self) -> Iterator[Block]:
        """Give every block of the tree in the order of acceptance, parents before children."""

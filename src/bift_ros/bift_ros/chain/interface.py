"""What a vehicle's tree of blocks wants of the store that keeps it over a crash."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.votes import Stage, Vote

KEPT_MODELS = 8
"""Model blocks, the newest, whose files are kept: the models, and the updates that they are of."""
MAX_SNAPSHOTS = 2
"""Snapshots that a store keeps: whoever is given the older one can still have what follows."""
MAX_EVIDENCE = 1024
"""Equivocations that a store keeps; further ones are known for as long as the vehicle runs."""
MAX_QUORUMS = 64
"""Quorums of each stage that a store keeps, those of the highest rounds."""
MAX_MEMBERSHIP_CERTIFICATES = 1024
"""Older certificates that are kept since the members changed below them."""


@dataclass(frozen=True)
class Standing:
    """What a block's own bytes do not tell of the branch that ends in it."""

    learning_weight: int
    """The branch's."""
    work: int
    """The branch's."""
    epoch: bytes
    """Names the members after the block (see `key_epochs`)."""
    state: bytes | None = None
    """The state after the block where it is kept (`state_bytes`)."""


@dataclass(frozen=True)
class StoredNode:
    """A stored block's place in the tree."""

    hash: bytes
    previous_hash: bytes
    height: int
    standing: Standing | None
    """Without the state; None where it was stored without."""


@dataclass(frozen=True)
class Snapshot:
    """The state after a final block, and what proves that it is final."""

    hash: bytes
    """The block's."""
    height: int
    """The block's."""
    state: bytes
    """`state_bytes` of the state after it."""
    certificate: bytes
    """The members' votes for the block and the state."""


@dataclass(frozen=True)
class Base:
    """The block below the lowest one kept: the genesis, until something is pruned."""

    hash: bytes
    height: int


class Store(Protocol):
    """The accepted blocks, side branches included, and which of them form the chain.

    They stand on `base`; all that is older is gone.

    Whatever is written is kept before the call returns, whole or not at all. Raises StoreError.
    """

    def accept(self, block: Block, tip_hash: bytes, standing: Standing | None = None) -> None:
        """Add `block` and make `tip_hash` the tip; the parent must be here, or be the base."""

    def add(self, block: Block, standing: Standing | None = None) -> None:
        """Add `block` to the tree and leave the tip."""

    def set_tip(self, tip_hash: bytes) -> None:
        """Make the branch that ends in `tip_hash` the chain."""

    def set_note(self, key: str, value: bytes) -> None:
        """Keep a value of the vehicle's own under a name; the newest counts."""

    def add_evidence(self, first: bytes, second: bytes) -> None:
        """Keep the proof of an equivocation, two `SignedHeader`s' bytes; bounded, once for each."""

    def keep_snapshot(self, snapshot: Snapshot, base: Base, dead: Collection[bytes] = ()) -> None:
        """Keep a snapshot of a block that is here, in place of the oldest but one.

        What is below `base`, which is the base or a block of the chain, goes, and so do the blocks
        `dead` with what they were kept with.
        """

    def start_from(self, snapshot: Snapshot) -> None:
        """Drop all blocks and states, and stand on the snapshot's block."""

    def keep_quorum(self, quorum: Quorum, lasting: bool = False) -> None:
        """Keep what justifies a block or makes it final.

        The highest rounds of each stage are kept; of what is to last so many more.
        """

    def cast(self, *votes: Vote) -> None:
        """Keep the vehicle's own votes, each in place of its last one of that stage.

        So it never casts two that contradict each other, whenever it is killed.
        """

    def discard(self, reason: str) -> None:
        """Drop everything as damaged, but for the vehicle's own votes, and start afresh."""

    @property
    def tip(self) -> bytes:
        """The hash of the chain's last block; the base's where there is none."""

    @property
    def base(self) -> Base:
        """What the lowest blocks stand on."""

    def snapshots(self) -> list[Snapshot]:
        """Give the snapshots kept, the newest first."""

    def state(self, block_hash: bytes) -> bytes | None:
        """Give the `state_bytes` that were kept with a block, or None."""

    def nodes(self, above: int) -> Iterator[StoredNode]:
        """Give the place of every block higher than that, parents before children."""

    def has(self, block_hash: bytes) -> bool:
        """Tell whether the block is in the tree; the genesis counts."""

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block of the tree, or None."""

    def canonical(self, from_height: int, limit: int) -> list[Block]:
        """Give at most `limit` blocks of the chain, upwards from `from_height`.

        They begin with the lowest one kept where that is higher.
        """

    def canonical_headers(self, from_height: int, limit: int) -> list[SignedHeader]:
        """Give the headers of `canonical`'s blocks."""

    def note(self, key: str) -> bytes | None:
        """Give what was kept under a name, or None."""

    def evidence(self) -> list[tuple[SignedHeader, SignedHeader]]:
        """Give the equivocations found, in the order in which they were."""

    def quorums(self, stage: Stage) -> list[Quorum]:
        """Give the quorums of a stage that are kept, by round."""

    def votes(self) -> dict[Stage, Vote]:
        """Give the vehicle's own newest vote of each stage."""

    def blocks(self) -> Iterator[Block]:
        """Give every block of the tree in the order of acceptance, parents before children."""

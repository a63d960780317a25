"""The chain's store kept in memory: what a simulated vehicle has left after a crash."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.interface import (
    MAX_EVIDENCE,
    MAX_MEMBERSHIP_CERTIFICATES,
    MAX_QUORUMS,
    MAX_SNAPSHOTS,
    Base,
    Snapshot,
    Standing,
    StoredNode,
)
from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.votes import Stage, Vote


class MemoryStore:
    """A `Store` without SQLite; thousands of vehicles would spend their time in it."""

    def __init__(self, genesis: Genesis, on_block: Callable[[Block], None]) -> None:
        """Start empty; `on_block` is told of every block that is accepted."""
        self._genesis = genesis
        self._on_block = on_block
        self._blocks: dict[bytes, Block] = {}
        self._standings: dict[bytes, Standing] = {}
        self._canonical: list[bytes] = []
        self._base = Base(genesis.hash, 0)
        self._snapshots: list[Snapshot] = []
        """The newest first."""
        self._notes: dict[str, bytes] = {}
        self._evidence: dict[bytes, bytes] = {}
        self._quorums: dict[Stage, list[Quorum]] = {stage: [] for stage in Stage}
        self._lasting: set[Quorum] = set()
        self._votes: dict[Stage, Vote] = {}

    def accept(self, block: Block, tip_hash: bytes, standing: Standing | None = None) -> None:
        """Add `block` and make `tip_hash` the tip, both or neither."""
        if tip_hash != block.hash and not self.has(tip_hash):
            raise StoreError(f"the block {tip_hash.hex()[:16]}… is not in the store")
        self.add(block, standing)
        self.set_tip(tip_hash)

    def add(self, block: Block, standing: Standing | None = None) -> None:
        """Add `block` to the tree and leave the tip."""
        if not self.has(block.header.previous_hash):
            raise StoreError(f"the parent of block {block.hash.hex()[:16]}… is not in the store")
        if block.hash not in self._blocks:
            self._blocks[block.hash] = block
            if standing is not None:
                self._standings[block.hash] = standing
            self._on_block(block)

    def set_tip(self, tip_hash: bytes) -> None:
        """Make the branch that ends in `tip_hash` the chain."""
        if not self.has(tip_hash):
            raise StoreError(f"the block {tip_hash.hex()[:16]}… is not in the store")
        branch: list[bytes] = []
        name, kept = tip_hash, 0
        while name != self._base.hash:
            header = self._blocks[name].header
            place = header.height - self._base.height
            if place <= len(self._canonical) and self._canonical[place - 1] == name:
                kept = place
                break
            branch.append(name)
            name = header.previous_hash
        self._canonical[kept:] = reversed(branch)

    def set_note(self, key: str, value: bytes) -> None:
        """Keep a few bytes under a name."""
        self._notes[key] = value

    def add_evidence(self, first: bytes, second: bytes) -> None:
        """Keep two signed headers of one miner on one parent."""
        first, second = sorted((first, second))
        if len(self._evidence) < MAX_EVIDENCE:
            self._evidence.setdefault(first, second)

    def keep_snapshot(self, snapshot: Snapshot, base: Base, dead: Collection[bytes] = ()) -> None:
        """Keep a snapshot, and drop what is below the base and what is dead."""
        if not self.has(snapshot.hash):
            raise StoreError(f"the block {snapshot.hash.hex()[:16]}… is not in the store")
        self._snapshots = [snapshot, *self._snapshots][:MAX_SNAPSHOTS]
        gone = {n for n, block in self._blocks.items() if block.header.height <= base.height}
        for name in gone.union(dead):
            self._blocks.pop(name, None)
            if name != base.hash:
                self._standings.pop(name, None)
        self._standings.pop(self._base.hash, None)
        del self._canonical[: base.height - self._base.height]
        self._base = base

    def start_from(self, snapshot: Snapshot) -> None:
        """Drop all blocks, and stand on the snapshot's block."""
        self._blocks.clear()
        self._standings.clear()
        self._canonical.clear()
        self._snapshots = [snapshot]
        self._base = Base(snapshot.hash, snapshot.height)

    def keep_quorum(self, quorum: Quorum, lasting: bool = False) -> None:
        """Keep what justifies a block or makes it final."""
        kept = self._quorums[quorum.stage]
        if any(other.statement == quorum.statement for other in kept):
            return
        kept.append(quorum)
        kept.sort(key=lambda one: one.statement.round)
        if lasting:
            self._lasting.add(quorum)
        older = [one for one in kept[:-MAX_QUORUMS] if one in self._lasting]
        kept[:-MAX_QUORUMS] = older[-MAX_MEMBERSHIP_CERTIFICATES:]

    def cast(self, *votes: Vote) -> None:
        """Keep the vehicle's own votes, each in place of its last one of that stage."""
        self._votes.update((vote.stage, vote) for vote in votes)

    def discard(self, reason: str) -> None:
        """Nothing damages memory: a stored block that breaks the rules is a bug."""
        raise StoreError(f"the simulated store was to be discarded: {reason}")

    @property
    def tip(self) -> bytes:
        """The hash of the chain's last block; the base's where there is none."""
        return self._canonical[-1] if self._canonical else self._base.hash

    @property
    def base(self) -> Base:
        """What the lowest blocks stand on."""
        return self._base

    def snapshots(self) -> list[Snapshot]:
        """Give the snapshots kept, the newest first."""
        return list(self._snapshots)

    def state(self, block_hash: bytes) -> bytes | None:
        """Give the `state_bytes` that were kept with a block, or None."""
        found = [s.state for s in self._snapshots if s.hash == block_hash]
        standing = self._standings.get(block_hash)
        return found[0] if found else standing.state if standing is not None else None

    def nodes(self, above: int) -> Iterator[StoredNode]:
        """Give the place of every block higher than that, parents before children."""
        for name, block in self._blocks.items():
            header = block.header
            if header.height > above:
                standing = self._standings.get(name)
                yield StoredNode(name, header.previous_hash, header.height, standing)

    def has(self, block_hash: bytes) -> bool:
        """Tell whether the block is in the tree; the genesis and the base count."""
        return block_hash in self._blocks or block_hash in (self._genesis.hash, self._base.hash)

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block of the tree, or None."""
        return self._blocks.get(block_hash)

    def canonical(self, from_height: int, limit: int) -> list[Block]:
        """Give at most `limit` blocks of the chain, upwards from `from_height`."""
        first = max(0, from_height - self._base.height - 1)
        names = self._canonical[first : first + limit]
        return [self._blocks[name] for name in names]

    def canonical_headers(self, from_height: int, limit: int) -> list[SignedHeader]:
        """Give the signed headers of the same blocks."""
        return [block.signed_header for block in self.canonical(from_height, limit)]

    def note(self, key: str) -> bytes | None:
        """Give what was kept under a name, or None."""
        return self._notes.get(key)

    def evidence(self) -> list[tuple[SignedHeader, SignedHeader]]:
        """Give all evidence of equivocation, oldest first."""
        return [
            (SignedHeader.from_bytes(first), SignedHeader.from_bytes(second))
            for first, second in self._evidence.items()
        ]

    def quorums(self, stage: Stage) -> list[Quorum]:
        """Give the quorums of a stage that are kept, by round."""
        return list(self._quorums[stage])

    def votes(self) -> dict[Stage, Vote]:
        """Give the vehicle's own newest vote of each stage."""
        return dict(self._votes)

    def blocks(self) -> Iterator[Block]:
        """Give every block of the tree in the order of acceptance, parents before children."""
        return iter(list(self._blocks.values()))

"""The chain on disk, one transaction per accepted block.

It holds the accepted blocks, side branches included, and which of them form the chain; beside
them states, so that neither a start nor a block on an old parent costs a replay of the chain, and
snapshots of final blocks, below which old blocks go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from bift_ros.chain import stored_states, stored_votes
from bift_ros.chain.database import ChainDatabase
from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.interface import MAX_EVIDENCE, Base, Snapshot, Standing, StoredNode
from bift_ros.chain.stored_nodes import digest_of, node_of, standing_bytes
from bift_ros.consensus.blocks import Block, Header, SignedHeader, parse_envelope
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.votes import Stage, Vote

_CANONICAL = (
    "SELECT data FROM canonical JOIN blocks USING (hash) WHERE canonical.height >= ? "
    "ORDER BY canonical.height LIMIT ?"
)


class ChainStore(ChainDatabase):
    """The block database of one vehicle, a `Store`; used by one thread at a time."""

    # --- writing ----------------------------------------------------------------------------

    def accept(self, block: Block, tip_hash: bytes, standing: Standing | None = None) -> None:
        """Add `block` and make `tip_hash` the tip, both or neither, durably.

        The parent must be in the store, or be the base. Raises StoreError.
        """
        with self._transaction():
            self._insert(block, standing)
            self._move_tip(tip_hash)

    def add(self, block: Block, standing: Standing | None = None) -> None:
        """Add `block` to the tree and leave the tip."""
        with self._transaction():
            self._insert(block, standing)

    def set_tip(self, tip_hash: bytes) -> None:
        """Make the branch that ends in `tip_hash` the chain."""
        with self._transaction():
            self._move_tip(tip_hash)

    def set_note(self, key: str, value: bytes) -> None:
        """Keep a value of the vehicle's own under a name, durably; the newest counts."""
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    def add_evidence(self, first: bytes, second: bytes) -> None:
        """Keep the proof of an equivocation, two `SignedHeader`s' bytes; bounded, once for each."""
        with self._transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO evidence (first, second) SELECT ?, ? "
                "WHERE (SELECT count(*) FROM evidence) < ?",
                (*sorted((first, second)), MAX_EVIDENCE),
            )

    def keep_snapshot(self, snapshot: Snapshot, base: Base, dead: Collection[bytes] = ()) -> None:
        """Keep a snapshot of a block that is here, in place of the oldest but one.

        What is below `base`, which is the base or a block of the chain, goes, and so do the blocks
        `dead` with what they were kept with.
        """
        with self._transaction():
            if not self.has(snapshot.hash):
                raise StoreError(f"the block {snapshot.hash.hex()[:16]}… is not in the store")
            self._keep_snapshot(snapshot)
            stored_states.prune(self._connection, base, dead)

    def start_from(self, snapshot: Snapshot) -> None:
        """Drop all blocks and states, and stand on the snapshot's block."""
        with self._transaction():
            stored_states.clear(self._connection)
            self._keep_snapshot(snapshot)
            stored_states.set_base(self._connection, Base(snapshot.hash, snapshot.height))

    def keep_quorum(self, quorum: Quorum, lasting: bool = False) -> None:
        """Keep what justifies a block or makes it final, durably; bounded."""
        with self._transaction():
            stored_votes.keep_quorum(self._connection, quorum, lasting)

    def cast(self, *votes: Vote) -> None:
        """Keep the vehicle's own votes, all or none, durably, in place of the last ones."""
        with self._transaction():
            stored_votes.keep_votes(self._connection, votes)

    # --- reading ----------------------------------------------------------------------------

    @property
    def tip(self) -> bytes:
        """The hash of the chain's last block; the base's where there is none."""
        row = self._read("SELECT hash FROM canonical ORDER BY height DESC LIMIT 1")
        return row[0][0] if row else self.base.hash

    @property
    def base(self) -> Base:
        """What the lowest blocks stand on."""
        with self._reading():
            return stored_states.base_of(self._connection, self._genesis.hash)

    def snapshots(self) -> list[Snapshot]:
        """Give the snapshots kept, the newest first."""
        with self._reading():
            return stored_states.snapshots_of(self._connection)

    def state(self, block_hash: bytes) -> bytes | None:
        """Give the `state_bytes` that were kept with a block, or None."""
        with self._reading():
            return stored_states.state_of(self._connection, block_hash)

    def nodes(self, above: int) -> Iterator[StoredNode]:
        """Give the place of every block higher than that, parents before children."""
        query = "SELECT data, standing FROM blocks WHERE height > ? ORDER BY number"
        with self._reading():
            for data, standing in self._connection.execute(query, (above,)):
                yield node_of(data, standing)

    def has(self, block_hash: bytes) -> bool:
        """Tell whether the block is in the tree; the genesis and the base count."""
        if block_hash == self._genesis.hash or block_hash == self.base.hash:
            return True
        return bool(self._read("SELECT 1 FROM blocks WHERE hash = ?", block_hash))

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block of the tree, or None."""
        rows = self._read("SELECT data FROM blocks WHERE hash = ?", block_hash)
        return Block.from_bytes(rows[0][0]) if rows else None

    def header(self, block_hash: bytes) -> Header | None:
        """Give a block's header, or None."""
        rows = self._read("SELECT data FROM blocks WHERE hash = ?", block_hash)
        return parse_envelope(rows[0][0])[0] if rows else None

    def canonical(self, from_height: int, limit: int) -> list[Block]:
        """Give at most `limit` blocks of the chain, upwards from `from_height`.

        They begin with the lowest one kept where that is higher.
        """
        rows = self._read(_CANONICAL, from_height, limit)
        return [Block.from_bytes(data) for (data,) in rows]

    def canonical_headers(self, from_height: int, limit: int) -> list[SignedHeader]:
        """Give the headers of `canonical`'s blocks."""
        rows = self._read(_CANONICAL, from_height, limit)
        envelopes = (parse_envelope(data) for (data,) in rows)
        return [SignedHeader(header, signature) for header, _, signature in envelopes]

    def note(self, key: str) -> bytes | None:
        """Give what was kept under a name, or None."""
        rows = self._read("SELECT value FROM notes WHERE key = ?", key)
        return rows[0][0] if rows else None

    def evidence(self) -> list[tuple[SignedHeader, SignedHeader]]:
        """Give the equivocations found, in the order in which they were."""
        rows: list[Any] = self._read("SELECT first, second FROM evidence ORDER BY number")
        return [(SignedHeader.from_bytes(a), SignedHeader.from_bytes(b)) for a, b in rows]

    def quorums(self, stage: Stage) -> list[Quorum]:
        """Give the quorums of a stage that are kept, by round."""
        rows = self._read(stored_votes.QUORUMS, stage.value)
        return [Quorum.from_bytes(data) for (data,) in rows]

    def votes(self) -> dict[Stage, Vote]:
        """Give the vehicle's own newest vote of each stage."""
        votes = [Vote.from_bytes(data) for (data,) in self._read(stored_votes.VOTES)]
        return {vote.stage: vote for vote in votes}

    def blocks(self) -> Iterator[Block]:
        """Give every block of the tree in the order of acceptance, parents before children."""
        for (number,) in self._read("SELECT number FROM blocks ORDER BY number"):
            ((data,),) = self._read("SELECT data FROM blocks WHERE number = ?", number)
            yield Block.from_bytes(data)

    # --- inside -----------------------------------------------------------------------------

    def _insert(self, block: Block, standing: Standing | None) -> None:
        if not self.has(block.header.previous_hash):
            raise StoreError(f"the parent of block {block.hash.hex()[:16]}… is not in the store")
        data, height = block.to_bytes(), block.header.height
        place = None if standing is None else standing_bytes(standing)
        self._connection.execute(
            "INSERT OR IGNORE INTO blocks (hash, height, data, standing, digest) "
            "VALUES (?, ?, ?, ?, ?)",
            (block.hash, height, data, place, digest_of(data, place)),
        )
        if standing is not None and standing.state is not None:
            stored_states.keep_state(self._connection, block.hash, height, standing.state)

    def _keep_snapshot(self, snapshot: Snapshot) -> None:
        stored_states.keep_state(
            self._connection, snapshot.hash, snapshot.height, snapshot.state, snapshot.certificate
        )

    def _move_tip(self, tip_hash: bytes) -> None:
        """Rewrite the chain's rows from the fork upwards."""
        branch: list[tuple[int, bytes]] = []
        block_hash, base = tip_hash, self.base
        fork_height = base.height
        while block_hash != base.hash:
            header = self.header(block_hash)
            if header is None:
                raise StoreError(f"the block {block_hash.hex()[:16]}… is not in the store")
            if self._read(
                "SELECT 1 FROM canonical WHERE height = ? AND hash = ?", header.height, block_hash
            ):
                fork_height = header.height
                break
            branch.append((header.height, block_hash))
            block_hash = header.previous_hash
        self._connection.execute("DELETE FROM canonical WHERE height > ?", (fork_height,))
        self._connection.executemany("INSERT INTO canonical VALUES (?, ?)", branch)

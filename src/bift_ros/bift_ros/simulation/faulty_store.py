"""A store in memory whose disk may be full, and whose power may fail around any write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from bift_ros.chain.interface import Base, Snapshot, Standing
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.votes import Vote
from bift_ros.simulation.memory_store import MemoryStore


class FaultyStore(MemoryStore):
    """What is written is there whole or not at all, as `Store` promises."""

    def __init__(
        self,
        genesis: Genesis,
        on_block: Callable[[Block], None],
        on_write: Callable[[str], None],
    ) -> None:
        """`on_write` is called `before` and `after` each write, and may raise."""
        super().__init__(genesis, on_block)
        self._on_write = on_write
        self._writing = False
        self.read = 0
        """How many blocks were read one by one: what it costs to replay old states."""

    def accept(self, block: Block, tip_hash: bytes, standing: Standing | None = None) -> None:
        """Add a block and move the tip."""
        with self._written():
            super().accept(block, tip_hash, standing)

    def add(self, block: Block, standing: Standing | None = None) -> None:
        """Add a block."""
        with self._written():
            super().add(block, standing)

    def set_tip(self, tip_hash: bytes) -> None:
        """Move the tip."""
        with self._written():
            super().set_tip(tip_hash)

    def set_note(self, key: str, value: bytes) -> None:
        """Keep a note."""
        with self._written():
            super().set_note(key, value)

    def add_evidence(self, first: bytes, second: bytes) -> None:
        """Keep evidence."""
        with self._written():
            super().add_evidence(first, second)

    def keep_snapshot(self, snapshot: Snapshot, base: Base, dead: Collection[bytes] = ()) -> None:
        """Keep a snapshot."""
        with self._written():
            super().keep_snapshot(snapshot, base, dead)

    def start_from(self, snapshot: Snapshot) -> None:
        """Stand on a snapshot."""
        with self._written():
            super().start_from(snapshot)

    def keep_quorum(self, quorum: Quorum, lasting: bool = False) -> None:
        """Keep a quorum."""
        with self._written():
            super().keep_quorum(quorum, lasting)

    def cast(self, *votes: Vote) -> None:
        """Keep votes of its own."""
        with self._written():
            super().cast(*votes)

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block, and count that."""
        self.read += 1
        return super().block(block_hash)

    @contextmanager
    def _written(self) -> Iterator[None]:
        if self._writing:  # as part of another write
            yield
            return
        self._on_write("before")
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
        self._on_write("after")

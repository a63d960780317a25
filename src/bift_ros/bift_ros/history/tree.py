"""Blocks as a tree: one chain, and the forks beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bift_ros.history.blocks import BlockSummary

MAX_BLOCKS = 20_000
"""An observer remembers no more; the oldest go first."""


class BlockTree:
    """Blocks by hash, in the order in which they came. Parents may come late or never."""

    def __init__(self, bounded: bool = True) -> None:
        """`bounded`: anybody may add blocks, so that only `MAX_BLOCKS` are kept."""
        self._blocks: dict[str, BlockSummary] = {}
        self._heights: dict[int, set[str]] = {}
        self._bounded = bounded
        self._added = 0

    @property
    def blocks(self) -> Mapping[str, BlockSummary]:
        """All that are remembered."""
        return self._blocks

    @property
    def added(self) -> int:
        """How many different blocks have come since the start."""
        return self._added

    def add(self, block: BlockSummary) -> bool:
        """Take a block in; False where it was known."""
        if block.hash in self._blocks:
            return False
        self._blocks[block.hash] = block
        self._heights.setdefault(block.height, set()).add(block.hash)
        self._added += 1
        if self._bounded and len(self._blocks) > MAX_BLOCKS:
            self._forget(next(iter(self._blocks)))
        return True

    def branch(self, tip: str) -> Iterator[BlockSummary]:
        """A tip's block and its ancestors, downwards, as far as they are known."""
        block = self._blocks.get(tip)
        while block is not None:
            yield block
            parent = self._blocks.get(block.previous_hash)
            # Hashes may be mere claims: without this a forged circle would be walked for ever.
            block = parent if parent is not None and parent.height == block.height - 1 else None

    def contains(self, ancestor: str, tip: str) -> bool:
        """Tell whether a block is a tip's own or among its known ancestors."""
        block = self._blocks.get(ancestor)
        if block is None:
            return ancestor == tip
        for other in self.branch(tip):
            if other.height <= block.height:
                return other.hash == ancestor
        return False

    def at(self, height: int) -> list[BlockSummary]:
        """The blocks of one height, of whichever branch, by hash."""
        return [self._blocks[name] for name in sorted(self._heights.get(height, ()))]

    def beside(self, tip: str) -> list[BlockSummary]:
        """The blocks that are not on a tip's branch, lowest first: forks, and what lies above it.

        Blocks below the lowest known one of the branch are left out: nobody can tell.
        """
        own = {block.hash: block.height for block in self.branch(tip)}
        if not own:
            return []
        lowest = min(own.values())
        others = (b for b in self._blocks.values() if b.hash not in own and b.height >= lowest)
        return sorted(others, key=lambda block: (block.height, block.hash))

    def _forget(self, name: str) -> None:
        block = self._blocks.pop(name)
        level = self._heights[block.height]
        level.remove(name)
        if not level:
            del self._heights[block.height]

"""The chain that ends in a head, what stands beside it, and what its iterations came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property
from heapq import heappop, heappush

from bift_ros.history.blocks import BlockSummary
from bift_ros.history.iterations import Iteration, Task, tasks_of
from bift_ros.history.tree import BlockTree


class Relation(Enum):
    """Where a tip stands, seen from the head."""

    SAME = "same"
    AHEAD = "ahead"
    """Above the head, on its branch."""
    BEHIND = "behind"
    """Below the head, on its branch."""
    FORKED = "forked"
    """On another branch."""
    UNKNOWN = "unknown"
    """Not all blocks are there that it takes to tell."""


class ChainHistory:
    """As the tree is now: make another one once it or the head has changed."""

    def __init__(self, tree: BlockTree, head: str) -> None:
        self._tree, self._head = tree, head
        self.blocks: tuple[BlockSummary, ...] = tuple(tree.branch(head))[::-1]
        """The chain's, lowest first, as far as they are known."""
        self.beside: tuple[BlockSummary, ...] = tuple(tree.beside(head))
        """Blocks of other branches, lowest first."""
        self.lanes: Mapping[str, int] = lanes_of(self.blocks, self.beside)
        """Hash → lane, of all blocks that can be placed: the chain's are on lane 0."""

    @property
    def height(self) -> int:
        """The head's; 0 where it is not known."""
        return self.blocks[-1].height if self.blocks else 0

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """All that the blocks tell of, in order."""
        return tuple(tasks_of(self.blocks))

    @cached_property
    def iterations(self) -> tuple[Iteration, ...]:
        """The finished ones of all tasks, in order."""
        return tuple(iteration for task in self.tasks for iteration in task.iterations)

    @cached_property
    def newest_task(self) -> Mapping[str, Iteration]:
        """Its block's hash → iteration, of the newest task that has finished one."""
        task = self.iterations[-1].model.model_id if self.iterations else ""
        return {i.block.hash: i for i in self.iterations if i.model.model_id == task}

    def relation(self, tip: str) -> Relation:
        """Where a tip stands."""
        if tip == self._head:
            return Relation.SAME
        block = self._tree.blocks.get(tip)
        if block is None or not self.blocks or block.height < self.blocks[0].height:
            return Relation.UNKNOWN
        if self.lanes.get(tip) == 0:
            return Relation.BEHIND
        return Relation.AHEAD if self._tree.contains(self._head, tip) else Relation.FORKED


def lanes_of(chain: Iterable[BlockSummary], beside: Iterable[BlockSummary]) -> dict[str, int]:
    """Hash → lane. A branch keeps its lane, and takes the lowest one that is free when it begins.

    `beside` are parents before children. A gap of one block keeps two branches on a lane apart.
    """
    lanes = {block.hash: 0 for block in chain}
    ends: dict[int, int] = {}  # lane → the height of its last block
    used: list[tuple[int, int]] = []  # (height at which it was continued, lane), as a heap
    free: list[int] = []  # as a heap
    for block in beside:
        while used and used[0][0] < block.height - 1:
            height, lane = heappop(used)
            if ends[lane] == height:  # else it went on since
                heappush(free, lane)
        lane = lanes.get(block.previous_hash, 0)
        if not lane or ends[lane] != block.height - 1:
            lane = heappop(free) if free else len(ends) + 1
        lanes[block.hash] = lane
        ends[lane] = block.height
        heappush(used, (block.height, lane))
    return lanes

"""The chain that ends in a head, what stands beside it, and what its iterations came to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cached_property

from bift_ros.history.blocks import BlockSummary
from bift_ros.history.iterations import Iteration, Task, tasks_of
from bift_ros.history.lanes import lanes_of
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
        """Hash → lane, of all blocks that can be placed."""

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

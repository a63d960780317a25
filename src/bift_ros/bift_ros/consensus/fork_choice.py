"""Fork choice: which of two branches is the chain.

Branches are compared by, in this order:

1. **learning weight**: how many contributions the branch carries. A member's commit and update
   count as one per task, iteration and base CID;
2. **work**: the expected hashes of the blocks that carry learning. A fast machine alone can make
   blocks, but neither of the first two grows by blocks without learning;
3. **the path**: where both are equal, at the first block where the branches differ the lower
   hash wins, and a descendant beats its ancestor.

Votes come first: a block that is final, or justified in the highest round known, ends the choice
among the branches that do not hold it (`chain.finality`). The rules above choose among the others.

A peer may set aside rule 3 where most members are seen on the other of two branches that are equal
by rules 1 and 2 (`Blockchain.prefer`): it joins them, since the tie is about to end there.

Why this is a total order, hence transitive, so that all members who know the same blocks choose
the same tip whatever the order of arrival: write a branch as its hashes from block 1 on, each
bitwise inverted. Rule 3 is the lexicographic order of these sequences, a proper prefix (the
ancestor) being less, and lexicographic orders are total. Comparing (learning weight, work, path)
one after another is lexicographic again.

Why a descendant beats its ancestor always: weight and work never fall along a branch, and on a
tie rule 3 says so. Accepting a block on the tip therefore always moves the tip.

Why the first differing block and not the tips: else whoever loses a tie could add empty blocks
until one has a low hash. As it is, nothing built later changes how a tie falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class BlockNode:
    """A block's place in the tree; each block has one node, compared by identity."""

    hash: bytes
    """The block's hash."""
    height: int
    """Its height."""
    parent: BlockNode | None = field(repr=False)
    """The node below; None for the lowest of the tree: the genesis, or a final block."""
    learning_weight: int
    """Of the branch up to here."""
    work: int
    """Of the branch up to here."""
    epoch: bytes
    """Names the members after it (see `key_epochs`)."""


def outranks(a: BlockNode, b: BlockNode) -> bool:
    """Tell whether the branch that ends in `a` is preferred to the one that ends in `b`."""
    if (a.learning_weight, a.work) != (b.learning_weight, b.work):
        return (a.learning_weight, a.work) > (b.learning_weight, b.work)
    fork = fork_point(a, b)
    if fork is a or fork is b:
        return fork is not a
    return _child_towards(a, fork).hash < _child_towards(b, fork).hash


def fork_point(a: BlockNode, b: BlockNode) -> BlockNode:
    """Give the last block that both branches share; of an ancestor and a descendant, the former."""
    while a is not b:
        if a.height >= b.height:
            a, b = b, a
        assert b.parent is not None, "both branches start at one block"
        b = b.parent
    return a


def stands_on(node: BlockNode, base: BlockNode) -> bool:
    """Tell whether `base` is an ancestor of `node`, or that block itself."""
    return node.height >= base.height and fork_point(node, base) is base


def branch_above(node: BlockNode, ancestor: BlockNode) -> list[BlockNode]:
    """Give the blocks after `ancestor` up to `node`, lowest first."""
    path = []
    while node is not ancestor:
        path.append(node)
        assert node.parent is not None, "`ancestor` is below `node`"
        node = node.parent
    return path[::-1]


def _child_towards(node: BlockNode, ancestor: BlockNode) -> BlockNode:
    while node.parent is not ancestor:
        assert node.parent is not None, "`ancestor` is below `node`"
        node = node.parent
    return node

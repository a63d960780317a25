"""The tree of accepted blocks, and the state at each of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.interface import Store
from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.exceptions import InvalidBlock
from bift_ros.consensus.fork_choice import BlockNode, branch_above, fork_point, outranks
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.transition import state_transition

MAX_CACHED_STATES = 64


@dataclass(frozen=True)
class Reorg:
    """How the chain changed when a block moved the tip."""

    removed: tuple[Block, ...]
    """The blocks that left the chain, lowest first; none where the block extends the tip."""
    added: tuple[Block, ...]
    """The blocks that joined the chain, lowest first; the last is the tip."""


class Blockchain:
    """All accepted blocks, over a store; the caller validates a block before it adds it."""

    def __init__(self, genesis: Genesis, store: Store) -> None:
        """Replay the store's blocks through the state transition.

        A stored block that breaks the rules is damage: the store is told to start afresh. Raises
        StoreError.
        """
        self.genesis = genesis
        self.store = store
        state = initial_state(genesis)
        self._tip = BlockNode(state.tip_hash, 0, None, 0, 0)
        self._nodes = {state.tip_hash: self._tip}
        self._states = OrderedDict([(state.tip_hash, state)])
        self._tip_state = state
        self.known_members = dict(state.members)
        """Everybody who is or was a member on any branch, by address."""
        self._last_members = state.members
        root = self._tip
        try:
            self._replay()
        except InvalidBlock as error:
            store.discard(f"a stored block is invalid: {error}")
            self._tip = root
            self._nodes = {root.hash: root}

    @property
    def tip(self) -> BlockNode:
        """The chain's last block."""
        return self._tip

    @property
    def tip_state(self) -> State:
        """The state after the chain's last block."""
        if self._tip_state.tip_hash != self._tip.hash:
            self._tip_state = self.state_at(self._tip.hash)
        return self._tip_state

    def has(self, block_hash: bytes) -> bool:
        """Tell whether the block is in the tree; the genesis counts."""
        return block_hash in self._nodes

    def node(self, block_hash: bytes) -> BlockNode | None:
        """Give a block's place in the tree, or None."""
        return self._nodes.get(block_hash)

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block of the tree, or None; the genesis is no `Block`."""
        return self.store.block(block_hash)

    def canonical(self, from_height: int, limit: int) -> list[Block]:
        """Give at most `limit` blocks of the chain, upwards from `from_height` (at least 1)."""
        return self.store.canonical(from_height, limit)

    def canonical_headers(self, from_height: int, limit: int) -> list[SignedHeader]:
        """Give the headers of `canonical`'s blocks."""
        return self.store.canonical_headers(from_height, limit)

    def state_at(self, block_hash: bytes) -> State:
        """Give the state after a block of the tree, recomputed from the nearest one kept.

        Raises KeyError for an unknown block.
        """
        node = self._nodes[block_hash]
        missing = []
        while node.hash not in self._states:
            missing.append(node.hash)
            assert node.parent is not None, "the genesis' state is always kept"
            node = node.parent
        self._states.move_to_end(node.hash)
        state = self._states[node.hash]
        for missing_hash in reversed(missing):
            block = self._stored(missing_hash)
            state = state_transition(state, self.genesis, block, block.header.timestamp)
            self._keep(state)
        return state

    def add(self, block: Block, state: State) -> Reorg | None:
        """Add a valid block with the state after it; tell how the chain changed, or None.

        A known block changes nothing. Raises InvalidBlock where the parent is unknown, and
        StoreError, in which case nothing changed.
        """
        if state.tip_hash != block.hash:
            raise ValueError("the state is not the one after the block")
        if block.hash in self._nodes:
            return None
        node, old = self._make_node(block, state), self._tip
        leads = outranks(node, old)
        if leads:
            self.store.accept(block, node.hash)
            self._tip = node
        else:
            self.store.add(block)
        self._nodes[node.hash] = node
        self._keep(state)
        if not leads:
            return None
        return Reorg((), (block,)) if node.parent is old else self._reorg(old, node)

    def prefer(self, block_hash: bytes) -> Reorg | None:
        """Move the tip to the end of a block's branch where it ties with the chain's; else None.

        A tie is one of learning weight and of work: see `fork_choice`. Only blocks without learning
        can stand above the block then, maybe this vehicle's own: it must not make another there.
        """
        block, old = self._nodes[block_hash], self._tip
        if not _tie(block, old) or fork_point(block, old) is block:
            return None
        node = block
        for other in self._nodes.values():
            if other.height > block.height and fork_point(other, block) is block:
                node = other if outranks(other, node) else node
        self.store.set_tip(node.hash)
        self._tip = node
        return self._reorg(old, node)

    def _reorg(self, old: BlockNode, new: BlockNode) -> Reorg:
        fork = fork_point(old, new)
        return Reorg(
            tuple(self._stored(gone.hash) for gone in branch_above(old, fork)),
            tuple(self._stored(come.hash) for come in branch_above(new, fork)),
        )

    def _replay(self) -> None:
        for block in self.store.blocks():
            parent = self.state_at(block.header.previous_hash)
            state = state_transition(parent, self.genesis, block, block.header.timestamp)
            node = self._make_node(block, state)
            self._nodes[node.hash] = node
            self._keep(state)
            if outranks(node, self._tip):
                self._tip = node
        kept, best = self._nodes.get(self.store.tip), self._tip
        if kept is not None and _tie(kept, best) and fork_point(kept, best) is not kept:
            self._tip = kept  # the peer had preferred it
        elif kept is not best:
            self.store.set_tip(best.hash)

    def _make_node(self, block: Block, state: State) -> BlockNode:
        parent = self._nodes.get(block.header.previous_hash)
        if parent is None:
            raise InvalidBlock(f"the parent {block.header.previous_hash.hex()[:16]}… is unknown")
        return BlockNode(block.hash, state.height, parent, state.learning_weight, state.work)

    def _keep(self, state: State) -> None:
        if state.members is not self._last_members:
            self._last_members = state.members
            self.known_members.update(state.members)
        self._states[state.tip_hash] = state
        self._states.move_to_end(state.tip_hash)
        while len(self._states) > MAX_CACHED_STATES:
            oldest = next(h for h in self._states if h != self.genesis.hash)
            del self._states[oldest]

    def _stored(self, block_hash: bytes) -> Block:
        block = self.store.block(block_hash)
        if block is None:
            raise StoreError(f"the block {block_hash.hex()[:16]}… is gone from the store")
        return block


def _tie(a: BlockNode, b: BlockNode) -> bool:
    return (a.learning_weight, a.work) == (b.learning_weight, b.work)

"""The states after the blocks of a tree: some in memory, some in the store, others recomputed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container

from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.interface import Store
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.exceptions import MalformedState
from bift_ros.consensus.fork_choice import BlockNode
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import parse_state, state_bytes
from bift_ros.consensus.transactions import remember_signature
from bift_ros.consensus.transition import apply_body

MAX_CACHED_STATES = 64
STATE_SPACING = 16
"""Blocks from one whose state is stored to the next: so many are replayed at most."""


class BranchStates:
    """Gives the state after any block of a tree at bounded cost."""

    def __init__(self, genesis: Genesis, store: Store, root: State) -> None:
        """`root` is the state after the tree's lowest block; it is always kept."""
        self._genesis, self._store, self._root = genesis, store, root
        self._states = OrderedDict([(root.tip_hash, root)])

    def at(self, node: BlockNode) -> State:
        """Give the state after a block, recomputed from the nearest one kept."""
        missing = []
        while node.hash not in self._states and not self._recall(node):
            missing.append(node.hash)
            assert node.parent is not None, "the root's state is always kept"
            node = node.parent
        self._states.move_to_end(node.hash)
        state = self._states[node.hash]
        for missing_hash in reversed(missing):
            state = self._replay(state, stored_block(self._store, missing_hash))
            self.keep(state)
        return state

    def keep(self, state: State) -> None:
        """Have a state at hand."""
        self._states[state.tip_hash] = state
        self._states.move_to_end(state.tip_hash)
        while len(self._states) > MAX_CACHED_STATES:
            del self._states[next(h for h in self._states if h != self._root.tip_hash)]

    def stand_on(self, root: State, blocks: Container[bytes]) -> None:
        """Have another lowest block, and forget the states of all but these blocks."""
        self._root = root
        for name in [name for name in self._states if name not in blocks]:
            del self._states[name]
        self.keep(root)

    def _replay(self, state: State, block: Block) -> State:
        """Give the state after an accepted block, whose signatures need not be checked again."""
        for transaction in block.body.transactions:
            member = state.members.get(transaction.sender)
            if member is not None:
                remember_signature(transaction, member.public_key, self._genesis.hash)
        return apply_body(state, self._genesis, block)

    def _recall(self, node: BlockNode) -> bool:
        """Take up the stored state after a block, where there is one."""
        data = self._store.state(node.hash) if node.height % STATE_SPACING == 0 else None
        if data is None:
            return False
        try:
            self.keep(parse_state(data, self._genesis))
        except MalformedState:
            return False
        return True


def bytes_to_store(state: State) -> bytes | None:
    """Give what is stored of the state after a block: nothing, for most blocks."""
    return state_bytes(state) if state.height % STATE_SPACING == 0 else None


def stored_block(store: Store, block_hash: bytes) -> Block:
    """Give a block that was accepted; raises StoreError where it is gone."""
    block = store.block(block_hash)
    if block is None:
        raise StoreError(f"the block {block_hash.hex()[:16]}… is gone from the store")
    return block
